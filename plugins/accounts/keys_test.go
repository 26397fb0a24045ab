package accounts

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// ring keeps keys in memory, and what it was asked for last.
type ring struct {
	keys map[string]plugins.APIKey
	in   plugins.KeyInput
	by   *plugins.KeyHolder
	// grace is that of the last rotation.
	grace *string
	err   error
}

func (r *ring) Key(_ context.Context, id string) (plugins.APIKey, error) {
	key, ok := r.keys[id]
	if !ok {
		return key, plugins.ErrNotFound
	}
	return key, nil
}

func (r *ring) OfOwner(_ context.Context, owner string, all bool) (list []plugins.APIKey, _ error) {
	for _, key := range r.keys {
		if key.Owner == owner && (all || key.RevokedAt.IsZero()) {
			list = append(list, key)
		}
	}
	return list, r.err
}

func (r *ring) Create(_ context.Context, in plugins.KeyInput, by *plugins.KeyHolder) (plugins.APIKey, plugins.Secret, error) {
	r.in, r.by = in, by
	key := plugins.APIKey{ID: "new", Owner: *in.Owner, Role: *in.Role, Scopes: *in.Scopes}
	if in.Tier != nil {
		key.Tier = *in.Tier
	}
	if err := errors.Join(r.err, by.Covers(key)); err != nil {
		return plugins.APIKey{}, plugins.Secret{}, err
	}
	return key, plugins.NewSecret("sk_live_new"), nil
}

func (r *ring) Update(_ context.Context, id string, in plugins.KeyInput, by *plugins.KeyHolder) (plugins.APIKey, error) {
	r.in, r.by = in, by
	return r.keys[id], errors.Join(r.err, by.Covers(r.keys[id]))
}

func (r *ring) Rotate(_ context.Context, id string, grace *string, by *plugins.KeyHolder) (plugins.APIKey, plugins.Secret, error) {
	r.grace, r.by = grace, by
	return r.keys[id], plugins.NewSecret("sk_live_next"), errors.Join(r.err, by.Covers(r.keys[id]))
}

func (r *ring) Revoke(_ context.Context, id string) (plugins.APIKey, error) {
	key := r.keys[id]
	key.RevokedAt = time.Unix(1, 0)
	r.keys[id] = key
	return key, r.err
}

// newRing is a service with the keys of a developer.
func newRing(t testing.TB) (*bench, *ring, plugins.User, *plugins.Principal) {
	t.Helper()
	b := newBench()
	u := b.register(t, "user@example.com")
	u.Role, u.Scopes = "DEVELOPER", []string{"read", "write"}
	b.store.users[u.ID] = u
	r := &ring{keys: map[string]plugins.APIKey{
		"mine":   {ID: "mine", Owner: u.ID, Role: "USER", Tier: "free"},
		"theirs": {ID: "theirs", Owner: "other", Role: "USER"},
	}}
	b.KeysPerOwner = 3
	b.OpenKeys = func(context.Context) (Keys, error) { return r, nil }
	return b, r, u, &plugins.Principal{
		Subject: u.ID, Owner: u.ID, Issuer: "main", Roles: []string{"DEVELOPER"}, Scopes: []string{"read", "write"}, Scheme: plugins.SchemeBearer,
	}
}

func reads(t testing.TB, text string) Read {
	return func() (*Body, *Refusal) { return body(t, text), nil }
}

func TestCreateKey(t *testing.T) {
	b, r, u, token := newRing(t)
	narrow := &plugins.Principal{Subject: u.ID, Roles: []string{"USER"}, Scopes: []string{"read"}, Scheme: plugins.SchemeBearer}
	forged := &plugins.Principal{Subject: u.ID, Roles: []string{"ADMIN"}, Scopes: []string{"all"}, Scheme: plugins.SchemeBearer}
	foreign := &plugins.Principal{Subject: "other", Roles: []string{"USER"}, Tier: "pro", Scopes: []string{"read"}, Scheme: plugins.SchemeBearer}
	for _, tc := range []struct {
		name   string
		caller *plugins.Principal
		body   string
		status int
		role   string
		scopes []string
	}{
		{"as the document has it", token, `{"name":"New Key","expires_in_days":90}`, 0, "DEVELOPER", []string{"read", "write"}},
		{"less", token, `{"name":"k","role":"USER","scopes":["read"]}`, 0, "USER", []string{"read"}},
		{"no scope", token, `{"name":"k","scopes":[]}`, 0, "DEVELOPER", nil},
		{"what is not theirs to choose is passed over", token, `{"name":"k","owner":"root","tier":"enterprise","limits":["1000/1s"]}`, 0, "DEVELOPER", []string{"read", "write"}},
		{"a role of another system first", &plugins.Principal{Subject: "other", Issuer: "main", Roles: []string{"offline_access", "USER"}, Scheme: plugins.SchemeBearer}, `{"name":"k"}`, 0, "USER", nil},
		{"a role above", token, `{"name":"k","role":"ADMIN"}`, 403, "", nil},
		{"a role that there is not", token, `{"name":"k","role":"ROOT"}`, 403, "", nil},
		{"a scope of nobody", token, `{"name":"k","scopes":["read","admin"]}`, 403, "", nil},
		{"a narrow token", narrow, `{"name":"k"}`, 403, "", nil},
		{"a narrow token for less", narrow, `{"name":"k","role":"USER"}`, 0, "USER", []string{"read"}},
		{"a narrow token for a wide scope", narrow, `{"name":"k","role":"USER","scopes":["write"]}`, 403, "", nil},
		{"a token with more than the account", forged, `{"name":"k","role":"ADMIN"}`, 403, "", nil},
		{"a token with other scopes than the account", forged, `{"name":"k","scopes":["all"]}`, 403, "", nil},
		{"no account", foreign, `{"name":"k"}`, 0, "USER", []string{"read"}},
		{"no account, a role above", foreign, `{"name":"k","role":"ADMIN"}`, 403, "", nil},
		{"an API key", &plugins.Principal{Subject: u.ID, Roles: []string{"DEVELOPER"}, Scheme: plugins.SchemeAPIKey}, `{"name":"k"}`, 403, "", nil},
		{"no name", token, `{}`, 422, "", nil},
		{"an empty name", token, `{"name":""}`, 422, "", nil},
		{"a blank name", token, `{"name":" "}`, 422, "", nil},
		{"null for a name", token, `{"name":null}`, 422, "", nil},
		{"a list for a name", token, `{"name":["k"]}`, 422, "", nil},
		{"a line in a name", token, `{"name":"a\nb"}`, 422, "", nil},
		{"days as text", token, `{"name":"k","expires_in_days":"90"}`, 422, "", nil},
		{"half a day", token, `{"name":"k","expires_in_days":0.5}`, 422, "", nil},
		{"no days", token, `{"name":"k","expires_in_days":0}`, 422, "", nil},
		{"a thousand years", token, `{"name":"k","expires_in_days":365000}`, 422, "", nil},
		{"days beyond numbers", token, `{"name":"k","expires_in_days":1e400}`, 422, "", nil},
		{"expired", token, `{"name":"k","expires_at":"2020-01-01T00:00:00Z"}`, 422, "", nil},
		{"both ends", token, `{"name":"k","expires_at":"2099-01-01T00:00:00Z","expires_in_days":1}`, 422, "", nil},
		{"no time", token, `{"name":"k","expires_at":"tomorrow"}`, 422, "", nil},
		{"scopes as text", token, `{"name":"k","scopes":"read"}`, 422, "", nil},
		{"a number among scopes", token, `{"name":"k","scopes":["read",1]}`, 422, "", nil},
		{"a space in a scope", token, `{"name":"k","scopes":["read write"]}`, 422, "", nil},
		{"many scopes", token, `{"name":"k","scopes":[` + strings.Repeat(`"read",`, 100) + `"read"]}`, 422, "", nil},
	} {
		key, refusal, err := b.CreateKey(t.Context(), here, tc.caller, reads(t, tc.body))
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if last := b.trail[len(b.trail)-1]; last.Action != "key.create" || last.Actor != tc.caller.Subject || (last.Result == "ok") != (tc.status == 0) {
			t.Errorf("%s: the trail has %+v", tc.name, last)
		}
		if tc.status != 0 {
			if refusal == nil || refusal.Denial.Status != tc.status || !key.Secret.Empty() {
				t.Errorf("%s: got %+v, %+v, want %d", tc.name, key, refusal, tc.status)
			}
			continue
		}
		if refusal != nil || *r.in.Role != tc.role || !slices.Equal(*r.in.Scopes, tc.scopes) || *r.in.Owner != tc.caller.Subject || r.in.Limits != nil {
			t.Errorf("%s: got %+v, %+v, want %s %v", tc.name, r.in, refusal, tc.role, tc.scopes)
		}
		if key.Secret.Reveal() != "sk_live_new" {
			t.Errorf("%s: got the key %q", tc.name, key.Secret.Reveal())
		}
	}
	if r.by.Epoch != 0 && r.by.Epoch != u.Epoch || r.by.Most != 3 {
		t.Errorf("bound by %+v", r.by)
	}
	for tier, want := range map[string]string{"pro": "pro", "gold": "", "": ""} {
		foreign.Tier = tier
		_, refusal, err := b.CreateKey(t.Context(), here, foreign, reads(t, `{"name":"k"}`))
		got := ""
		if r.in.Tier != nil {
			got = *r.in.Tier
		}
		if refusal != nil || err != nil || got != want {
			t.Errorf("with a token of the tier %q: got the tier %q, %+v, %v, want %q", tier, got, refusal, err, want)
		}
	}
	u.DisabledAt = b.clock
	b.store.users[u.ID] = u
	_, refusal, err := b.CreateKey(t.Context(), here, token, reads(t, `{"name":"k"}`))
	wantNo(t, "disabled", refusal, err, http.StatusUnauthorized, plugins.ReasonAccountDisabled)
}

// What an operator gave a key, its owner can neither prolong nor rotate unless they
// have it themselves (issue 11).
func TestKeysThatGrantTooMuch(t *testing.T) {
	b, r, u, token := newRing(t)
	for name, tc := range map[string]struct {
		key    plugins.APIKey
		refuse bool
	}{
		"no more":      {plugins.APIKey{Role: "DEVELOPER", Tier: "free", Scopes: []string{"write"}}, false},
		"the defaults": {plugins.APIKey{}, false},
		"a role":       {plugins.APIKey{Role: "ADMIN"}, true},
		"a scope":      {plugins.APIKey{Role: "USER", Scopes: []string{"read", "admin"}}, true},
		"a tier":       {plugins.APIKey{Role: "USER", Tier: "enterprise"}, true},
		"limits":       {plugins.APIKey{Role: "USER", Limits: []string{"1000/1s"}}, true},
	} {
		tc.key.ID, tc.key.Owner = "k", u.ID
		r.keys["k"] = tc.key
		for what, change := range map[string]func() (Key, *Refusal, error){
			"prolonging": func() (Key, *Refusal, error) {
				return b.ChangeKey(t.Context(), here, token, "k", reads(t, `{"expires_in_days":90}`))
			},
			"rotating": func() (Key, *Refusal, error) { return b.RotateKey(t.Context(), here, token, "k", reads(t, `{}`)) },
		} {
			_, refusal, err := change()
			if tc.refuse {
				wantNo(t, what+" "+name, refusal, err, http.StatusForbidden, plugins.ReasonKeyGrant)
			} else if refusal != nil || err != nil {
				t.Errorf("%s %s: got %+v, %v", what, name, refusal, err)
			}
		}
	}
}

// A token of another issuer says what its issuer grants now: what is made with it
// does not outlive it.
func TestForeignKeysEnd(t *testing.T) {
	b, r, u, token := newRing(t)
	expires := b.clock.Add(time.Hour).Truncate(time.Second)
	foreign := *token
	foreign.Issuer, foreign.ExpiresAt = "other", expires
	endless := foreign
	endless.ExpiresAt = time.Time{}
	now := b.clock.Truncate(time.Second)
	for _, tc := range []struct {
		name     string
		caller   *plugins.Principal
		lifetime time.Duration
		want     time.Time
	}{
		{"of the accounts' own issuer", token, time.Hour, time.Time{}},
		{"as long as the token", &foreign, 0, expires},
		{"as long as is allowed", &foreign, 90 * 24 * time.Hour, now.Add(90 * 24 * time.Hour)},
		{"a token without end", &endless, 0, now.Add(b.TokenLifetime)},
	} {
		b.ForeignKeyLifetime = tc.lifetime
		for what, change := range map[string]func() (Key, *Refusal, error){
			"making": func() (Key, *Refusal, error) {
				return b.CreateKey(t.Context(), here, tc.caller, reads(t, `{"name":"k"}`))
			},
			"prolonging": func() (Key, *Refusal, error) {
				return b.ChangeKey(t.Context(), here, tc.caller, "mine", reads(t, `{"expires_in_days":90}`))
			},
			"rotating": func() (Key, *Refusal, error) {
				return b.RotateKey(t.Context(), here, tc.caller, "mine", reads(t, `{}`))
			},
		} {
			r.by = nil
			if _, refusal, err := change(); refusal != nil || err != nil || !r.by.Until.Equal(tc.want) || r.by.Epoch != u.Epoch {
				t.Errorf("%s, %s: got %+v, %+v, %v, want it until %s", tc.name, what, r.by, refusal, err, tc.want)
			}
		}
	}
}

func TestKeysOfOthersAreNotThere(t *testing.T) {
	b, _, _, token := newRing(t)
	unread := func() (*Body, *Refusal) {
		t.Error("the body was read")
		return nil, TooLarge()
	}
	for _, id := range []string{"theirs", "nobody's"} {
		for what, ask := range map[string]func() (Key, *Refusal, error){
			"key.show":   func() (Key, *Refusal, error) { return b.ShowKey(t.Context(), token, id) },
			"key.update": func() (Key, *Refusal, error) { return b.ChangeKey(t.Context(), here, token, id, unread) },
			"key.rotate": func() (Key, *Refusal, error) { return b.RotateKey(t.Context(), here, token, id, unread) },
			"key.revoke": func() (Key, *Refusal, error) { return b.RevokeKey(t.Context(), here, token, id) },
		} {
			b.trail = nil
			key, refusal, err := ask()
			wantNo(t, what+" "+id, refusal, err, http.StatusNotFound, plugins.ReasonKeyNotFound)
			if key.ID != "" {
				t.Errorf("%s %s: got %+v", what, id, key)
			}
			if what != "key.show" && (len(b.trail) != 1 || b.trail[0].Action != what || b.trail[0].Target != id || b.trail[0].Result != string(plugins.ReasonKeyNotFound)) {
				t.Errorf("%s %s: the trail has %+v", what, id, b.trail)
			}
		}
	}
}

func TestKeysNeedAToken(t *testing.T) {
	b, r, _, token := newRing(t)
	byKey := *token
	byKey.Scheme = plugins.SchemeAPIKey
	for what, change := range map[string]func() (Key, *Refusal, error){
		"create": func() (Key, *Refusal, error) {
			return b.CreateKey(t.Context(), here, &byKey, reads(t, `{"name":"k"}`))
		},
		"change": func() (Key, *Refusal, error) {
			return b.ChangeKey(t.Context(), here, &byKey, "mine", reads(t, `{"name":"k"}`))
		},
		"rotate": func() (Key, *Refusal, error) {
			return b.RotateKey(t.Context(), here, &byKey, "mine", reads(t, `{}`))
		},
		"revoke": func() (Key, *Refusal, error) { return b.RevokeKey(t.Context(), here, &byKey, "mine") },
	} {
		_, refusal, err := change()
		wantNo(t, what, refusal, err, http.StatusForbidden, plugins.ReasonTokenRequired)
	}
	if key, refusal, err := b.ShowKey(t.Context(), &byKey, "mine"); key.ID != "mine" || refusal != nil || err != nil {
		t.Errorf("got %+v, %+v, %v", key, refusal, err)
	}
	if list, refusal, err := b.ListKeys(t.Context(), &byKey, false); len(list) != 1 || refusal != nil || err != nil {
		t.Errorf("got %v, %+v, %v", list, refusal, err)
	}
	if _, refusal, err := b.RevokeKey(t.Context(), here, token, "mine"); refusal != nil || err != nil || r.keys["mine"].RevokedAt.IsZero() {
		t.Errorf("got %+v, %v", refusal, err)
	}
}

func TestChangeKey(t *testing.T) {
	b, r, _, token := newRing(t)
	for name, text := range map[string]string{"a role above": `{"role":"ADMIN"}`, "a scope": `{"scopes":["admin"]}`} {
		_, refusal, err := b.ChangeKey(t.Context(), here, token, "mine", reads(t, text))
		wantNo(t, name, refusal, err, http.StatusForbidden, plugins.ReasonKeyGrant)
	}
	_, refusal, err := b.ChangeKey(t.Context(), here, token, "mine", reads(t, `{"scopes":["read"],"owner":"root","tier":"enterprise"}`))
	if refusal != nil || err != nil || !slices.Equal(*r.in.Scopes, []string{"read"}) || r.in.Role != nil || r.in.Name != nil || r.in.Owner != nil || r.in.Tier != nil {
		t.Errorf("got %+v, %+v, %v", r.in, refusal, err)
	}
	for text, want := range map[string]string{`{}`: "", `{"grace":null}`: "", `{"grace":"1h"}`: "1h", `{"grace":""}`: "(empty)"} {
		_, refusal, err := b.RotateKey(t.Context(), here, token, "mine", reads(t, text))
		got := ""
		if r.grace != nil {
			if got = *r.grace; got == "" {
				got = "(empty)"
			}
		}
		if refusal != nil || err != nil || got != want {
			t.Errorf("%s: got the grace %q, %+v, %v, want %q", text, got, refusal, err, want)
		}
	}
	_, refusal, err = b.RotateKey(t.Context(), here, token, "mine", reads(t, `{"grace":24}`))
	wantNo(t, "a number", refusal, err, http.StatusUnprocessableEntity, plugins.ReasonBodyInvalid)
	_, refusal, err = b.ChangeKey(t.Context(), here, token, "mine", func() (*Body, *Refusal) { return nil, TooLarge() })
	wantNo(t, "a body that can't be read", refusal, err, http.StatusRequestEntityTooLarge, plugins.ReasonBodyTooLarge)
}

// How it ended is answered and in the trail, whatever it is.
func TestKeyErrors(t *testing.T) {
	for _, tc := range []struct {
		err    error
		status int
		reason plugins.Reason
		result string
	}{
		{plugins.ErrTooMany, http.StatusConflict, plugins.ReasonTooManyKeys, "too_many_keys"},
		{plugins.ErrAccountChanged, http.StatusConflict, plugins.ReasonAccountChanged, "account_changed"},
		{plugins.ErrConflict, http.StatusConflict, plugins.ReasonKeyState, "key_not_changeable"},
		{plugins.ErrNotFound, http.StatusNotFound, plugins.ReasonKeyNotFound, "key_not_found"},
		{&plugins.InputError{Field: "expires_at", Text: "is not in the future"}, http.StatusUnprocessableEntity, plugins.ReasonBodyInvalid, "body_invalid"},
		{errors.New("disk"), 0, "", "store_unavailable: disk"},
	} {
		b, r, _, token := newRing(t)
		r.err = tc.err
		for what, change := range map[string]func() (Key, *Refusal, error){
			"create": func() (Key, *Refusal, error) {
				return b.CreateKey(t.Context(), here, token, reads(t, `{"name":"k"}`))
			},
			"change": func() (Key, *Refusal, error) {
				return b.ChangeKey(t.Context(), here, token, "mine", reads(t, `{"name":"k"}`))
			},
			"rotate": func() (Key, *Refusal, error) {
				return b.RotateKey(t.Context(), here, token, "mine", reads(t, `{}`))
			},
			"revoke": func() (Key, *Refusal, error) { return b.RevokeKey(t.Context(), here, token, "mine") },
		} {
			b.trail = nil
			_, refusal, err := change()
			if tc.status != 0 {
				wantNo(t, what, refusal, err, tc.status, tc.reason)
			} else if unavailable, ok := errors.AsType[*plugins.Unavailable](err); refusal != nil || !ok || unavailable.Reason != plugins.ReasonStoreUnavailable {
				t.Errorf("%s: got %+v, %v", what, refusal, err)
			}
			if len(b.trail) != 1 || b.trail[0].Result != tc.result {
				t.Errorf("%s, %v: the trail has %+v, want %s", what, tc.err, b.trail, tc.result)
			}
		}
	}
	b, _, _, token := newRing(t)
	b.OpenKeys = func(context.Context) (Keys, error) { return nil, errors.New("disk") }
	if _, refusal, err := b.ListKeys(t.Context(), token, true); refusal != nil || err == nil {
		t.Errorf("got %+v, %v", refusal, err)
	}
}
