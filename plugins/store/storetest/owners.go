package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/store"
)

// newOwner makes a record with every field set.
func newOwner(owner string) store.OwnerLimits {
	return store.OwnerLimits{Owner: owner, Tier: "pro", Limits: []string{"600/1m", "10000/1d"}, Concurrency: 7, UpdatedAt: base}
}

func testOwners(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	all := func() []store.OwnerLimits {
		t.Helper()
		list, err := s.Owners(ctx())
		must(t, err)
		return list
	}
	wantEqual(t, "empty", all(), []store.OwnerLimits{})
	b, a := newOwner("b"), newOwner("a")
	must(t, s.SetOwner(ctx(), b))
	must(t, s.SetOwner(ctx(), a))
	wantEqual(t, "by owner", all(), []store.OwnerLimits{a, b})
	// Setting replaces the whole record.
	b = store.OwnerLimits{Owner: "b", Concurrency: 1, UpdatedAt: base.Add(time.Hour)}
	must(t, s.SetOwner(ctx(), b))
	wantEqual(t, "replaced", all(), []store.OwnerLimits{a, b})
	must(t, s.DeleteOwner(ctx(), "a"))
	wantEqual(t, "deleted", all(), []store.OwnerLimits{b})
	wantErr(t, "deleting again", s.DeleteOwner(ctx(), "a"), store.ErrNotFound)
	must(t, s.DeleteOwner(ctx(), "b"))

	for _, text := range hostile {
		o := newOwner(text)
		o.Limits = []string{text}
		must(t, s.SetOwner(ctx(), o))
		wantEqual(t, "text "+text, all(), []store.OwnerLimits{o})
		must(t, s.DeleteOwner(ctx(), text))
	}
	for name, change := range map[string]func(*store.OwnerLimits){
		"no owner":             func(o *store.OwnerLimits) { o.Owner = "" },
		"no time":              func(o *store.OwnerLimits) { o.UpdatedAt = time.Time{} },
		"no change":            func(o *store.OwnerLimits) { o.Tier, o.Limits, o.Concurrency = "", nil, 0 },
		"negative concurrency": func(o *store.OwnerLimits) { o.Concurrency = -1 },
		"NUL":                  func(o *store.OwnerLimits) { o.Owner = "\x00" },
		"long text":            func(o *store.OwnerLimits) { o.Tier = strings.Repeat("x", store.MaxText+1) },
		"long list":            func(o *store.OwnerLimits) { o.Limits = make([]string, store.MaxList+1) },
		"1969":                 func(o *store.OwnerLimits) { o.UpdatedAt = time.Unix(-1, 0) },
	} {
		o := newOwner("o")
		change(&o)
		wantErr(t, name, s.SetOwner(ctx(), o), store.ErrInvalid)
	}
	wantEqual(t, "after what was refused", all(), []store.OwnerLimits{})
}
