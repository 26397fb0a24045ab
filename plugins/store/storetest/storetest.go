// Package storetest is the suite that every store.Store passes. It tests what the
// interface promises, each method and each documented error, and nothing of how a
// store is made.
package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// base is the time of the suite's records, in UTC with whole seconds as they are kept.
var base = time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)

// hostile are texts that break a store which builds its queries, or its records,
// from text.
var hostile = []string{
	`'; DROP TABLE api_keys; --`,
	`" OR "1"="1`,
	`x' OR '1'='1`,
	`%`, `_`, `*`, `?1`, `$1`, `:name`, `\`, `\'`,
	`["a"]`, `{"a": 1}`, `null`, `NULL`, `a,b`, `a b`, "tab\tand\nnewline",
	`<script>alert(1)</script>`, "ünï→😀", "\u202e", "\ufeff",
	` leading and trailing `, `${env.SECRET}`, `{env.SECRET}`,
}

// Run tests the stores that open makes. Each call of open must give an empty store
// and close it when the test ends.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, group := range []struct {
		name string
		run  func(t *testing.T, open func(t *testing.T) store.Store)
	}{
		{"create keys", testCreateKeys},
		{"create many keys", testCreateManyKeys},
		{"bounds of keys", testBoundsOfKeys},
		{"read keys", testReadKeys},
		{"update keys", testUpdateKeys},
		{"touch keys", testTouchKeys},
		{"rotation", testRotation},
		{"revoke", testRevoke},
		{"invalid revocations", testInvalidRevocations},
		{"end of revocations", testEndOfRevocations},
		{"audit", testAudit},
		{"create users", testCreateUsers},
		{"update users", testUpdateUsers},
		{"own keys", testOwnKeys},
		{"rotating own keys", testRotatingOwnKeys},
		{"changing own keys", testChangingOwnKeys},
		{"start families", testStartFamilies},
		{"renew families", testRenewFamilies},
		{"reuse of renewed tokens", testReuseFamilies},
		{"end families", testEndFamilies},
		{"counts", testCounts},
		{"owners", testOwners},
		{"version", testVersion},
		{"concurrency", testConcurrency},
		{"failure", testFailure},
	} {
		t.Run(group.name, func(t *testing.T) { group.run(t, open) })
	}
}

// NewID makes an id as the records have it.
func NewID(t testing.TB) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

// NewKey makes a record with every field set, of a hash that no other has.
func NewKey(t testing.TB) plugins.APIKey {
	t.Helper()
	id := NewID(t)
	var hash [32]byte
	copy(hash[:], id)
	return plugins.APIKey{
		ID: id, Owner: "u1", Name: "New Key", Prefix: "sk_live_Ab3x", Hash: hash[:], PepperVersion: 1,
		Role: "DEVELOPER", Tier: "pro", Scopes: []string{"read", "write"}, IPAllow: []string{"10.0.0.0/8"}, Limits: []string{"600/1m burst 100"},
		CreatedAt: base, ExpiresAt: base.Add(24 * time.Hour), LastUsedAt: base.Add(time.Minute),
	}
}

func ctx() context.Context { return context.Background() }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: err = %v, want %v", what, err, want)
	}
	for _, other := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrInvalid, store.ErrTooMany, store.ErrReplayed} {
		if !errors.Is(other, want) && errors.Is(err, other) {
			t.Errorf("%s: err = %v, which is %v too", what, err, other)
		}
	}
}

func wantEqual(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func create(t testing.TB, s store.Store, keys ...plugins.APIKey) {
	t.Helper()
	for _, k := range keys {
		must(t, s.CreateKey(ctx(), k))
	}
}

// wantKeys checks that these records are in the store as they are here.
func wantKeys(t testing.TB, s store.Store, what string, want ...plugins.APIKey) {
	t.Helper()
	for _, key := range want {
		got, err := s.Key(ctx(), key.ID)
		must(t, err)
		wantEqual(t, what, got, key)
	}
}

// wantAllKeys checks that the store has these records, in this order, and no others.
func wantAllKeys(t testing.TB, s store.Store, what string, want ...plugins.APIKey) {
	t.Helper()
	got, err := s.Keys(ctx(), store.KeyFilter{})
	must(t, err)
	wantEqual(t, what, got, append([]plugins.APIKey{}, want...))
}

func ids(keys []plugins.APIKey) []string {
	all := []string{}
	for _, k := range keys {
		all = append(all, k.ID)
	}
	return all
}
