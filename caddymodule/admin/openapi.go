package admin

import (
	_ "embed"
	"net/http"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"go.uber.org/zap"
)

// openAPI describes the admin API, by OpenAPI 3.1. A test holds it against the
// handlers.
//
//go:embed openapi.json
var openAPI []byte

// serveOpenAPI answers with the description, gateway or not.
func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if _, err := w.Write(openAPI); err != nil {
		pool.Log("admin").Debug("writing the description of the API", zap.Error(err))
	}
}
