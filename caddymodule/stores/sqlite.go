// Package stores has the modules of the namespace gateway.stores.
package stores

import (
	"context"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/sqlite"
)

func init() { caddy.RegisterModule(SQLiteStore{}) }

// SQLiteStore keeps records in an SQLite file. Processes of one machine can share it;
// several machines can't, and it must not be on a network drive.
type SQLiteStore struct {
	// Path of the file. It is created, readable by its owner only, if it does not exist.
	// Default: `portcullis/gateway.db` in Caddy's data directory.
	Path string `json:"path,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (SQLiteStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gateway.stores.sqlite", New: func() caddy.Module { return new(SQLiteStore) }}
}

// Provision resolves the path.
func (s *SQLiteStore) Provision(caddy.Context) error {
	if s.Path == "" {
		s.Path = filepath.Join(caddy.AppDataDir(), "portcullis", "gateway.db")
	}
	path, err := caddy.NewReplacer().ReplaceOrErr(s.Path, true, true)
	if err != nil {
		return err
	}
	s.Path, err = filepath.Abs(path)
	return err
}

// UnmarshalCaddyfile reads the store. Syntax:
//
//	sqlite [<path>]
func (s *SQLiteStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // store name
	if d.NextArg() {
		s.Path = d.Val()
	}
	if d.NextArg() {
		return caddyfiletext.Surplus(d, "store sqlite takes one path")
	}
	return caddyfiletext.Block(d, nil)
}

// Open opens the file.
func (s *SQLiteStore) Open(ctx context.Context) (store.Store, error) { return sqlite.Open(ctx, s.Path) }

// Name is the path.
func (s *SQLiteStore) Name() string { return "sqlite " + s.Path }

// Identity is the path.
func (s *SQLiteStore) Identity() string { return s.Name() }

// PepperPath is a file beside the store's.
func (s *SQLiteStore) PepperPath() string { return s.Path + ".pepper" }

// Interface guards.
var (
	_ gateway.StoreProvider = (*SQLiteStore)(nil)
	_ caddy.Provisioner     = (*SQLiteStore)(nil)
	_ caddyfile.Unmarshaler = (*SQLiteStore)(nil)
)
