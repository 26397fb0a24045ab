package request

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/plugins"
)

// SetUserPlaceholders sets {http.auth.user.*} for a principal, as Caddy's own
// authentication does, so that `log`, `header_up`, CEL and other modules work. One
// provider resolves all of them on demand: setting each in advance would cost every
// request nine writes to a locked map.
func SetUserPlaceholders(r *http.Request, p *plugins.Principal, role, tier string) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return
	}
	repl.Map(func(key string) (any, bool) {
		name, ok := strings.CutPrefix(key, "http.auth.user.")
		if !ok {
			return nil, false
		}
		value, known := userValue(p, role, tier, name)
		return value, known
	})
}

// userValue is the value of {http.auth.user.<name>}.
func userValue(p *plugins.Principal, role, tier, name string) (value string, known bool) {
	switch name {
	case "id":
		return p.Subject, true
	case "owner":
		return p.Owner, true
	case "role":
		return role, true
	case "roles":
		return strings.Join(p.Roles, ","), true
	case "tier":
		return tier, true
	case "scheme":
		return p.Scheme, true
	case "key_id":
		return p.KeyID, true
	case "scopes":
		return strings.Join(p.Scopes, " "), true
	case "issuer":
		return p.Issuer, true
	}
	return "", false
}

// UserMetadata is the same for the User that a caddyauth.Authenticator returns.
func UserMetadata(p *plugins.Principal, role, tier string) map[string]string {
	meta := map[string]string{}
	for _, name := range []string{"owner", "role", "roles", "tier", "scheme", "key_id", "scopes", "issuer"} {
		value, _ := userValue(p, role, tier, name)
		meta[name] = value
	}
	return meta
}
