package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/store"
)

func testAudit(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("trail, filter and pages", func(t *testing.T) {
		s := open(t)
		empty, err := s.Audit(ctx(), store.AuditFilter{})
		must(t, err)
		wantEqual(t, "empty", empty, []store.AuditEntry{})

		// Newest first, as it is read.
		var want []store.AuditEntry
		for i := range 6 {
			e := store.AuditEntry{
				At: base.Add(time.Duration(i) * time.Minute), Actor: []string{"cli", "ops"}[i%2], Action: []string{"key.create", "key.revoke", "token.revoke"}[i%3],
				Target: fmt.Sprint("id", i/2), From: "127.0.0.1", Result: "ok",
			}
			must(t, s.AppendAudit(ctx(), e))
			want = append([]store.AuditEntry{e}, want...)
		}
		all, err := s.Audit(ctx(), store.AuditFilter{})
		must(t, err)
		for i := range all {
			if i > 0 && all[i].ID >= all[i-1].ID {
				t.Errorf("ids do not grow: %d after %d", all[i-1].ID, all[i].ID)
			}
			want[i].ID = all[i].ID
		}
		wantEqual(t, "all", all, want)
		for _, c := range []struct {
			name   string
			filter store.AuditFilter
			want   []store.AuditEntry
		}{
			{"actor", store.AuditFilter{Actor: "ops"}, []store.AuditEntry{want[0], want[2], want[4]}},
			{"action", store.AuditFilter{Action: "key.create"}, []store.AuditEntry{want[2], want[5]}},
			{"target", store.AuditFilter{Target: "id0"}, want[4:]},
			{"all three", store.AuditFilter{Actor: "cli", Action: "key.create", Target: "id0"}, want[5:]},
			{"unknown", store.AuditFilter{Actor: "c"}, nil},
			{"since", store.AuditFilter{Since: base.Add(4 * time.Minute)}, want[:2]},
			{"since a little later", store.AuditFilter{Since: base.Add(4*time.Minute + 1)}, want[:1]},
			{"until", store.AuditFilter{Until: base.Add(time.Minute)}, want[5:]},
			{"until a little later", store.AuditFilter{Until: base.Add(time.Minute + 1)}, want[4:]},
			{"first page", store.AuditFilter{Limit: 2}, want[:2]},
			{"second page", store.AuditFilter{Limit: 2, Before: want[1].ID}, want[2:4]},
			{"last page", store.AuditFilter{Limit: 9, Before: want[4].ID}, want[5:]},
		} {
			got, err := s.Audit(ctx(), c.filter)
			must(t, err)
			wantEqual(t, c.name, got, append([]store.AuditEntry{}, c.want...))
		}

		n, err := s.SweepAudit(ctx(), base.Add(2*time.Minute))
		must(t, err)
		wantEqual(t, "swept", n, 2)
		left, err := s.Audit(ctx(), store.AuditFilter{})
		must(t, err)
		wantEqual(t, "left", left, want[:4])

		// Ids of swept entries do not come again, even when all are gone.
		_, err = s.SweepAudit(ctx(), base.Add(time.Hour))
		must(t, err)
		must(t, s.AppendAudit(ctx(), store.AuditEntry{At: base, Action: "a"}))
		left, err = s.Audit(ctx(), store.AuditFilter{})
		must(t, err)
		if len(left) != 1 || left[0].ID <= want[0].ID {
			t.Errorf("after a sweep: %+v, want one entry with an id above %d", left, want[0].ID)
		}
	})

	t.Run("text is data", func(t *testing.T) {
		s := open(t)
		for _, text := range hostile {
			want := store.AuditEntry{At: base, Actor: text, Action: text, Target: text, From: text, Result: text}
			must(t, s.AppendAudit(ctx(), want))
			got, err := s.Audit(ctx(), store.AuditFilter{Actor: text, Action: text, Target: text})
			must(t, err)
			if len(got) != 1 {
				t.Fatalf("%d entries of %q, want 1", len(got), text)
			}
			want.ID = got[0].ID
			wantEqual(t, "entry of "+text, got[0], want)
		}
	})

	t.Run("invalid entries are refused", func(t *testing.T) {
		s := open(t)
		for name, e := range map[string]store.AuditEntry{
			"no time":   {Action: "a"},
			"no action": {At: base},
			"NUL":       {At: base, Action: "a", Target: "\x00"},
			"not UTF-8": {At: base, Action: "a", From: "\xff"},
			"long text": {At: base, Action: "a", Result: strings.Repeat("x", store.MaxText+1)},
			"1969":      {At: time.Unix(-1, 0), Action: "a"},
		} {
			wantErr(t, name, s.AppendAudit(ctx(), e), store.ErrInvalid)
		}
	})
}
