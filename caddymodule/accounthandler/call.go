package accounthandler

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/caddymodule/limithandler"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/accounts"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// accountCall is one request to a path of accounts.
type accountCall struct {
	*Accounts
	w http.ResponseWriter
	r *http.Request
	x *request.Exchange
	// id is that of the key, or of the request, in the path.
	id string
}

// callerJSON is the caller. What only an account has is null without one.
type callerJSON struct {
	ID        string   `json:"id"`
	Email     *string  `json:"email"`
	FullName  *string  `json:"full_name"`
	Role      string   `json:"role"`
	Roles     []string `json:"roles"`
	Tier      string   `json:"tier"`
	Scopes    []string `json:"scopes"`
	Scheme    string   `json:"scheme"`
	CreatedAt *string  `json:"created_at"`
}

// tokenJSON is a token as OAuth2 has it (RFC 6749 section 5.1), and the role.
type tokenJSON struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Role        string `json:"role"`
}

// answer writes JSON that no cache may keep.
func (c *accountCall) answer(status int, body any) error {
	h := c.w.Header()
	h["Content-Type"] = []string{"application/json"}
	request.NoStore(h)
	c.w.WriteHeader(status)
	return json.NewEncoder(c.w).Encode(body)
}

// outcome answers with a body, or with the refusal or the error in its place.
func (c *accountCall) outcome(status int, body any, refusal *accounts.Refusal, err error) error {
	if refusal != nil || err != nil {
		return c.writeError(refusal, err)
	}
	return c.answer(status, body)
}

// grant answers with a token.
func (c *accountCall) grant(g *accounts.Grant, refusal *accounts.Refusal, err error) error {
	if refusal != nil || err != nil {
		return c.writeError(refusal, err)
	}
	return c.answer(http.StatusOK, tokenJSON{g.Token.Reveal(), "bearer", int64(g.ExpiresIn / time.Second), g.Role})
}

// writeError answers with a refusal, or with 503 where err says why nothing could be
// decided.
func (c *accountCall) writeError(refusal *accounts.Refusal, err error) error {
	if err != nil {
		return c.judge.Undecided(c.w, c.r, c.x, err)
	}
	d := refusal.Denial
	if d.Status == http.StatusUnauthorized && d.Reason == plugins.ReasonLoginFailed {
		// RFC 9110 wants a challenge. It is the bare one: no credential was refused.
		d.Challenges = []string{c.auth.Challenge(&plugins.Denial{Reason: plugins.ReasonNoCredential})}
	}
	fields := make([]problem.FieldError, 0, len(refusal.Fields))
	for _, f := range refusal.Fields {
		fields = append(fields, problem.FieldError(f))
	}
	return c.judge.Refuse(c.w, c.r, c.x, d, fields...)
}

func (c *accountCall) refuseMethod(path accountPath) error {
	allowed := slices.Sorted(maps.Keys(path))
	if path[http.MethodGet] != nil {
		allowed = append(allowed, http.MethodHead)
	}
	c.w.Header()["Allow"] = []string{strings.Join(allowed, ", ")}
	return c.judge.Refuse(c.w, c.r, c.x, &plugins.Denial{
		Status: http.StatusMethodNotAllowed, Reason: plugins.ReasonMethodNotAllowed, Value: decision.Clip(c.r.Method, 16), Bound: strings.Join(allowed, ", "),
	})
}

// origin is the address of the client, and its network.
func (c *accountCall) origin() accounts.Origin {
	addr := request.ClientIP(c.r)
	network, known := ratelimit.AnonymousSubject(addr)
	if !known {
		return accounts.Origin{}
	}
	return accounts.Origin{Address: addr.String(), Network: network}
}

// read reads the body.
func (c *accountCall) read(parse func(contentType string, body []byte) (*accounts.Body, *accounts.Refusal)) (*accounts.Body, *accounts.Refusal) {
	return accounts.ReadBody(c.r.Body, c.r.ContentLength, c.r.Header.Get("Content-Type"), parse)
}

func (c *accountCall) json() (*accounts.Body, *accounts.Refusal) { return c.read(accounts.ParseJSON) }

// optionalJSON is json for a request that may have no body.
func (c *accountCall) optionalJSON() (*accounts.Body, *accounts.Refusal) {
	return c.read(accounts.ParseOptionalJSON)
}

// caller authenticates the caller, as gateway_auth does. Where p is nil the request is
// answered, and err is what ServeHTTP returns.
func (c *accountCall) caller() (p *plugins.Principal, err error) {
	p, denial, failure := c.auth.Identify(c.r, c.x)
	switch {
	case failure != nil:
		return nil, c.auth.Undecided(c.w, c.r, c.x, failure)
	case denial != nil:
		return nil, c.auth.Deny(c.w, c.r, c.x, denial)
	}
	c.setCaller(p)
	return p, nil
}

// setCaller notes the caller, for the log and what is counted.
func (c *accountCall) setCaller(p *plugins.Principal) {
	c.x.Principal = p
	c.x.Step(request.PolicyAuth, request.Passed, p)
	request.SetUserPlaceholders(c.r, p, c.app.Hierarchy().Primary(p.Roles), c.app.TierOf(p).Name)
}

// charged authenticates the caller and charges the request to their limits, as
// gateway_limit does, and then serves it.
func (c *accountCall) charged(serve func(p *plugins.Principal) error) error {
	p, err := c.caller()
	if p == nil {
		return err
	}
	return c.charge(func() error { return serve(p) })
}

func (c *accountCall) charge(serve func() error) error {
	return c.limit.ServeHTTP(c.w, c.r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		c.w = w
		return serve()
	}))
}

func (c *accountCall) register() error {
	b, refusal := c.json()
	if refusal != nil {
		return c.writeError(refusal, nil)
	}
	u, refusal, err := c.service.Register(c.r.Context(), c.origin(), b)
	return c.outcome(http.StatusCreated, adminapi.NewUser(u), refusal, err)
}

func (c *accountCall) logInJSON() error { return c.logIn(accounts.ParseJSON) }

// logInForm is the password grant of OAuth2 as FastAPI's clients send it.
func (c *accountCall) logInForm() error { return c.logIn(accounts.ParseForm) }

func (c *accountCall) logIn(parse func(string, []byte) (*accounts.Body, *accounts.Refusal)) error {
	b, refusal := c.read(parse)
	if refusal != nil {
		return c.writeError(refusal, nil)
	}
	return c.grant(c.service.LogIn(c.r.Context(), c.origin(), b))
}

// presented judges the token that the caller presents for renewal. Where ok is false
// the request is answered, and err is what ServeHTTP returns.
func (c *accountCall) presented(window time.Duration) (p accounts.Presented, ok bool, err error) {
	credential, found, denial := c.auth.Find(c.r)
	switch {
	case denial != nil:
		return p, false, c.auth.Deny(c.w, c.r, c.x, denial)
	case !found:
		return p, false, c.auth.Deny(c.w, c.r, c.x, auth.DenyToken(plugins.ReasonNoCredential, "no credential", "Authorization"))
	}
	if err := c.app.RevocationsKnown(c.r.Context()); err != nil {
		return p, false, c.judge.Undecided(c.w, c.r, c.x, &plugins.Unavailable{Reason: plugins.ReasonStoreUnavailable, Err: err})
	}
	token, denial, err := c.scheme.Renewable(c.r.Context(), credential.Value, window)
	switch {
	case err != nil:
		return p, false, c.auth.Undecided(c.w, c.r, c.x, err)
	case denial != nil:
		return p, false, c.auth.Deny(c.w, c.r, c.x, denial)
	}
	return accounts.Presented{Principal: token.Principal, Family: token.Family, Revoked: token.Revoked}, true, nil
}

func (c *accountCall) refresh() error {
	p, ok, err := c.presented(c.window)
	if !ok {
		return err
	}
	grant, refusal, err := c.service.Refresh(c.r.Context(), c.origin(), p)
	if refusal != nil && refusal.Denial.Status == http.StatusUnauthorized {
		// A bad token is a failed attempt, here as everywhere.
		return c.auth.Deny(c.w, c.r, c.x, refusal.Denial)
	}
	if grant != nil {
		c.setCaller(p.Principal)
	}
	return c.grant(grant, refusal, err)
}

func (c *accountCall) logOut() error {
	caller, err := c.caller()
	if caller == nil {
		return err
	}
	p := accounts.Presented{Principal: caller}
	if credential, found, _ := c.auth.Find(c.r); found && caller.Scheme == plugins.SchemeBearer && caller.Issuer == c.Issuer {
		// It is good: only its family is of interest.
		if token, _, _ := c.scheme.Renewable(c.r.Context(), credential.Value, 0); token != nil {
			p.Family = token.Family
		}
	}
	refusal, err := c.service.LogOut(c.r.Context(), c.origin(), p)
	return c.outcome(http.StatusOK, map[string]string{"detail": "Logged out"}, refusal, err)
}

func (c *accountCall) me() error {
	return c.charged(func(p *plugins.Principal) error {
		owner, refusal, err := c.service.OwnerOf(c.r.Context(), p)
		if refusal != nil || err != nil {
			return c.writeError(refusal, err)
		}
		shown := callerJSON{
			ID: p.Subject, Role: c.app.Hierarchy().Primary(p.Roles), Roles: adminapi.OrEmpty(p.Roles), Tier: c.app.TierOf(p).Name, Scopes: adminapi.OrEmpty(p.Scopes), Scheme: p.Scheme,
		}
		if u := owner.User; u.ID != "" {
			shown.Email, shown.FullName, shown.CreatedAt = &u.Address, &u.FullName, adminapi.Time(u.CreatedAt)
		}
		return c.answer(http.StatusOK, shown)
	})
}

func (c *accountCall) changePassword() error {
	return c.charged(func(p *plugins.Principal) error {
		b, refusal := c.json()
		if refusal != nil {
			return c.writeError(refusal, nil)
		}
		return c.grant(c.service.ChangePassword(c.r.Context(), c.origin(), p, b))
	})
}

// usage lists what is left of the caller's limits. Asking costs nothing.
func (c *accountCall) usage() error {
	p, err := c.caller()
	if p == nil {
		return err
	}
	rows, err := limithandler.Usage(c.r.Context(), c.app, "", p.Owner, p)
	if err != nil {
		return c.judge.Undecided(c.w, c.r, c.x, &plugins.Unavailable{Reason: plugins.ReasonLimiterUnavailable, Err: err})
	}
	return c.answer(http.StatusOK, rows)
}

// support answers with the record of one of the caller's own requests, as a block to paste
// into a mail. A request of somebody else is as unknown as one that never was.
func (c *accountCall) support() error {
	return c.charged(func(p *plugins.Principal) error {
		record, ok := c.app.Journal().Get(c.id)
		if !ok || record.Owner == "" || record.Owner != p.Owner {
			return c.judge.Refuse(c.w, c.r, c.x, &plugins.Denial{
				Status: http.StatusNotFound, Reason: plugins.ReasonRecordNotFound, Value: "no record of request " + decision.Text(c.id) + " of this owner",
			})
		}
		h := c.w.Header()
		h["Content-Type"] = []string{"text/plain; charset=utf-8"}
		request.NoStore(h)
		_, err := io.WriteString(c.w, record.Support(adminapi.Versions()))
		return err
	})
}

// publicKeys answers with the key set. It is public, and may be kept for a while.
func (c *accountCall) publicKeys() error {
	h := c.w.Header()
	h["Content-Type"] = []string{"application/jwk-set+json"}
	h["Cache-Control"] = []string{"public, max-age=300"}
	_, err := c.w.Write(c.signer.Keys())
	return err
}
