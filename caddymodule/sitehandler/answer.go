package sitehandler

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/google/uuid"

	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/problem"
)

// fixed is the format of answers for which no gateway_errors of a site is
// responsible: the default one.
var fixed = sync.OnceValue(func() *problem.Translator {
	t, err := problem.New(problem.Config{})
	if err != nil {
		panic(err) // the default configuration has no mistake
	}
	return t
})

// answer sends a problem in the default format, or in the one that the client asks
// for.
func answer(w http.ResponseWriter, r *http.Request, p problem.Problem) {
	h := w.Header()
	problem.StripEntityHeaders(h)
	contentType, body := fixed().Render(p, fixed().Negotiate(r.Header["Accept"]), problem.Env{RequestID: h.Get(auth.HeaderRequestID)})
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) //nolint:gosec // what Render returns is JSON, and says so, whatever the request holds
	}
}

// refuseHost answers for a host that no site of the server has: 404, or 421 over
// TLS, where another connection could lead to the right server (RFC 9110 section
// 15.5.20). Caddy would answer 200 with nothing in it.
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
	answer(w, r, fixed().FromStatus(status))
	return nil
}
