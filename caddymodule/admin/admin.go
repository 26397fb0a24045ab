// Package admin is the part of Caddy's admin API under /gateway/.
package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/limithandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/accounts"
	"github.com/ainative/portcullis/plugins/auth/keys"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

func init() { caddy.RegisterModule(Admin{}) }

// Admin serves the gateway's part of Caddy's admin API, under /gateway/. Caddy decides
// which clients may use it, by the admin endpoint's address, origins and remote access
// rules.
type Admin struct {
	routes *http.ServeMux
}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.gateway", New: func() caddy.Module { return new(Admin) }}
}

// maxImportBody bounds the body of an import of keys, in bytes.
const maxImportBody = 64 << 20

// adminRoutes are all routes. docs/admin-api.md and openapi.json have each of them.
var adminRoutes = []struct {
	pattern string
	handler http.Handler
}{
	{"GET /gateway/keys", adminHandler(listKeys)},
	{"POST /gateway/keys", audited("key.create", withBody(createKey))},
	{"GET /gateway/keys/{id}", adminHandler(getKey)},
	{"PATCH /gateway/keys/{id}", audited("key.update", withBody(patchKey))},
	{"DELETE /gateway/keys/{id}", audited("key.revoke", deleteKey)},
	{"POST /gateway/keys/{id}/rotate", audited("key.rotate", rotateKey)},
	{"POST /gateway/keys/import", audited("key.import", importKeys)},
	{"POST /gateway/tokens/inspect", withBody(inspectToken)},
	{"GET /gateway/revocations", adminHandler(listRevocations)},
	{"POST /gateway/revocations", audited("token.revoke", withBody(addRevocation))},
	{"DELETE /gateway/revocations/{id}", audited("token.unrevoke", deleteRevocation)},
	{"GET /gateway/decisions", http.HandlerFunc(listDecisions)},
	{"GET /gateway/shadow", journalHandler(showShadow)},
	{"DELETE /gateway/shadow", journalHandler(resetShadow)},
	{"GET /gateway/decisions/{id}", journalHandler(showDecision)},
	{"GET /gateway/owners", adminHandler(listOwners)},
	{"PUT /gateway/owners/{owner}", audited("limit.set", withBody(setOwner))},
	{"DELETE /gateway/owners/{owner}", audited("limit.unset", unsetOwner)},
	{"GET /gateway/usage/{owner}", adminHandler(showUsage)},
	{"GET /gateway/limits/{zone}/{owner}", adminHandler(showLimits)},
	{"DELETE /gateway/limits/{zone}/{owner}", audited("limit.reset", resetLimits)},
	{"GET /gateway/users", adminHandler(listUsers)},
	{"POST /gateway/users", withAccountBody(createUser)},
	{"GET /gateway/users/{id}", adminHandler(getUser)},
	{"PATCH /gateway/users/{id}", withAccountBody(patchUser)},
	{"POST /gateway/users/{id}/disable", switchUser((*accounts.Service).Disable)},
	{"POST /gateway/users/{id}/enable", switchUser((*accounts.Service).Enable)},
	{"POST /gateway/users/{id}/password", withAccountBody(resetPassword)},
	{"GET /gateway/audit", adminHandler(listAudit)},
	{"POST /gateway/check", appHandler(withBody(checkRequest))},
	{"GET /gateway/health", appHandler(showHealth)},
	{"GET /gateway/openapi.json", http.HandlerFunc(serveOpenAPI)},
}

// Routes returns the one route that leads to all of ours.
func (a *Admin) Routes() []caddy.AdminRoute {
	a.routes = http.NewServeMux()
	for _, route := range adminRoutes {
		a.routes.Handle(route.pattern, route.handler)
	}
	return []caddy.AdminRoute{{Pattern: "/gateway/", Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		most := int64(adminapi.MaxBody)
		if r.URL.Path == "/gateway/keys/import" {
			most = maxImportBody
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		a.routes.ServeHTTP(&adminWriter{ResponseWriter: w}, r)
		return nil
	})}}
}

// adminRequest is one request and the app of the running configuration.
type adminRequest struct {
	*http.Request
	app   *gateway.App
	store store.Store
	keys  *keys.Service
	// target is what the request changes, for the audit trail. It is set by the handler
	// where the path does not name it.
	target string
	// unreadable says that the body could not be read.
	unreadable bool
}

// adminHandler answers with a value to show as JSON, or an error.
type adminHandler func(r *adminRequest) (status int, body any, err error)

// ServeHTTP resolves the running app at each request: admin routes are made
// before the apps of a configuration.
func (h adminHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	appHandler(func(r *adminRequest) (_ int, _ any, err error) {
		if r.store, err = r.app.Store(r.Context()); err != nil {
			return 0, nil, err
		}
		if r.keys, err = r.app.KeyService(r.Context()); err != nil {
			return 0, nil, err
		}
		return h(r)
	}).ServeHTTP(w, r)
}

// appHandler is an adminHandler that works while the store does not.
type appHandler adminHandler

func (h appHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	app, err := gateway.Running()
	if err != nil {
		writeAdmin(w, 0, nil, err)
		return
	}
	status, body, err := h(&adminRequest{Request: r, app: app})
	writeAdmin(w, status, body, err)
}

// journalHandler answers from the journal of decisions, which needs neither the
// store nor a gateway app: a configuration may have gateway_errors alone.
type journalHandler func(j *decision.Journal, r *http.Request) (status int, body any, err error)

func (h journalHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kept, ok := gateway.RunningJournal()
	if !ok {
		writeAdmin(w, 0, nil, gateway.ErrNotRunning)
		return
	}
	status, body, err := h(kept, r)
	writeAdmin(w, status, body, err)
}

// writeAdmin writes an answer, or the error in its place.
func writeAdmin(w http.ResponseWriter, status int, body any, err error) {
	if err != nil {
		status, body = adminError(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		pool.Log("admin").Debug("writing an answer", zap.Error(err))
	}
}

// withBody is a handler that takes what the body says.
func withBody[T any](handle func(r *adminRequest, in T) (int, any, error)) adminHandler {
	return func(r *adminRequest) (int, any, error) {
		var in T
		if err := r.decode(&in); err != nil {
			return 0, nil, err
		}
		return handle(r, in)
	}
}

// audited is a handler that changes something: the audit trail has how it ended. A
// body that can't be read says nothing of a change, and leaves no entry.
func audited(action string, h adminHandler) adminHandler {
	return func(r *adminRequest) (int, any, error) {
		status, body, err := h(r)
		if r.unreadable {
			return status, body, err
		}
		entry := store.AuditEntry{
			Actor: "admin", Action: action, From: r.from(), Result: "ok",
			Target: cmp.Or(r.target, r.PathValue("id"), r.PathValue("owner")),
		}
		if err != nil {
			entry.Result = err.Error()
		}
		r.app.Audit(r.Context(), entry)
		return status, body, err
	}
}

// errorBody is the format of every error.
type errorBody struct {
	Detail any `json:"detail"`
}

// adminError is the status and the body that say an error.
func adminError(err error) (int, any) {
	if refused, ok := errors.AsType[*accountRefusal](err); ok {
		return refused.status(), errorBody{refused.detail()}
	}
	if bad, ok := errors.AsType[*plugins.InputError](err); ok {
		return http.StatusUnprocessableEntity, errorBody{[]map[string]any{{"loc": []string{"body", bad.Field}, "msg": bad.Text, "type": "value_error"}}}
	}
	var status int
	switch {
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound, errorBody{"Not found"}
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrExists):
		status = http.StatusConflict
	case errors.Is(err, store.ErrInvalid):
		status = http.StatusUnprocessableEntity
	case errors.Is(err, errNoRecord), errors.Is(err, limithandler.ErrNoZone):
		status = http.StatusNotFound
	case errors.Is(err, gateway.ErrNotRunning), errors.Is(err, errTooManyFollowers):
		status = http.StatusServiceUnavailable
	default:
		pool.Log("admin").Error("answering an admin request", zap.Error(err))
		return http.StatusServiceUnavailable, errorBody{"Service unavailable"}
	}
	return status, errorBody{err.Error()}
}

// adminWriter writes the mux's own 404 and 405 in the format of every error.
type adminWriter struct {
	http.ResponseWriter
	replaced bool
}

// WriteHeader replaces the plain text of http.Error.
func (w *adminWriter) WriteHeader(status int) {
	if status >= 400 && w.Header().Get("Content-Type") != "application/json" {
		w.replaced = true
		body := `{"detail":"` + http.StatusText(status) + `"}` + "\n"
		if status == http.StatusNotFound {
			body = `{"detail":"Not found"}` + "\n"
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.ResponseWriter.WriteHeader(status)
		_, _ = io.WriteString(w.ResponseWriter, body)
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *adminWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *adminWriter) Write(p []byte) (int, error) {
	if w.replaced {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// decode reads a JSON body. It refuses unknown fields: a misspelt one must not be ignored.
func (r *adminRequest) decode(into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = errors.New("more than one JSON value")
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("field required")
	}
	if err != nil {
		r.unreadable = true
		return plugins.Invalid("(body)", err.Error())
	}
	return nil
}

// from is the address of the client.
func (r *adminRequest) from() string {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return from
}

// Interface guards.
var (
	_ caddy.AdminRouter = (*Admin)(nil)
	_ http.Handler      = adminHandler(nil)
)
