package sitehandler

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/google/uuid"

	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/problem"
)

// defaultFormat is the format of answers outside any gateway_errors.
var defaultFormat = sync.OnceValue(func() *problem.Translator {
	t, err := problem.New(problem.Config{})
	if err != nil {
		panic(err) // the default configuration has no mistake
	}
	return t
})

// answer sends a problem in the default format, or in the one that the client accepts.
func answer(w http.ResponseWriter, r *http.Request, p problem.Problem) {
	h := w.Header()
	problem.StripEntityHeaders(h)
	contentType, body := defaultFormat().Render(p, defaultFormat().Negotiate(r.Header["Accept"]), problem.Env{RequestID: h.Get(auth.HeaderRequestID)})
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) //nolint:gosec // Render returns JSON, and the content type says so
	}
}

// refuseHost answers a request whose host has no site on the server: 404, or 421 over TLS,
// where another connection could lead to the right server (RFC 9110 section 15.5.20).
// Caddy would send an empty 200.
func refuseHost(w http.ResponseWriter, r *http.Request) error {
	status := http.StatusNotFound
	if r.TLS != nil {
		status = http.StatusMisdirectedRequest
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	w.Header()[auth.HeaderRequestID] = []string{id.String()}
	answer(w, r, defaultFormat().FromStatus(status))
	return nil
}
