package gateway

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/sqlite"
)

// What says nothing any more goes, a day after the last moment at which any clock
// could need it; the audit trail goes back a year.
func TestSweep(t *testing.T) {
	ctx := t.Context()
	s, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "gateway.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for id, expires := range map[string]time.Time{
		"long over": now.Add(-25 * time.Hour), "just over": now.Add(-time.Hour), "in force": now.Add(time.Hour),
	} {
		err := s.Revoke(ctx, plugins.Revocation{ID: id, Kind: plugins.RevokeTokenID, Value: id, CreatedAt: now.Add(-48 * time.Hour), ExpiresAt: expires})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []time.Time{now.AddDate(-1, 0, -1), now.AddDate(0, -11, 0)} {
		if err := s.AppendAudit(ctx, store.AuditEntry{At: at, Actor: "cli", Action: "key.create", Target: "k", Result: "ok"}); err != nil {
			t.Fatal(err)
		}
	}

	sweep(ctx, s, now)

	left, err := s.Revocations(ctx, now.Add(-48*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, r := range left {
		got[r.ID] = true
	}
	if len(got) != 2 || got["long over"] {
		t.Errorf("got revocations %v, want those just over and in force", got)
	}
	entries, err := s.Audit(ctx, store.AuditFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || !entries[0].At.Equal(now.AddDate(0, -11, 0)) {
		t.Errorf("got audit entries %v, want the one of eleven months ago", entries)
	}
}
