package stores

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
	"github.com/ainative/portcullis/caddymodule/internal/secret"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/postgres"
)

func init() { caddy.RegisterModule(PostgresStore{}) }

// PostgresStore keeps records in a PostgreSQL database, which gateways on several machines
// share. A key created on one is valid on all, and a revocation on one takes effect on the
// others within a second. All need the same configured pepper. While the database does not
// answer, requests that need it get 503.
type PostgresStore struct {
	// URL of the database: `postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full`.
	// Of several hosts, separated by commas, the one that accepts writes is used.
	// Placeholders {env.*} and {file.*} are supported, for the whole URL or a part.
	URL string `json:"url,omitempty"`

	// Password of the user, if it is not in the URL. It is not escaped.
	// Placeholders {env.*} and {file.*} are supported.
	Password string `json:"password,omitempty"`

	// How many connections this process opens at most. Default: 10.
	MaxConnections int `json:"max_connections,omitempty"`

	// How long one operation may take. The server enforces it too, so that no lock is held
	// for longer. Default: 5s.
	StatementTimeout caddy.Duration `json:"statement_timeout,omitempty"`

	target   *postgres.Target
	identity string
}

// CaddyModule returns the Caddy module information.
func (PostgresStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gateway.stores.postgres", New: func() caddy.Module { return new(PostgresStore) }}
}

// Provision resolves the URL. It does not connect.
func (s *PostgresStore) Provision(caddy.Context) error {
	if s.URL == "" {
		return errors.New("store postgres needs a database: write `store postgres {env.DATABASE_URL}`")
	}
	options := postgres.Options{MaxConnections: s.MaxConnections, Timeout: time.Duration(s.StatementTimeout)}
	var err error
	if options.URL, err = secret.Resolve("store postgres", s.URL); err != nil {
		return err
	}
	if s.Password != "" {
		if options.Password, err = secret.Resolve("store postgres: password", s.Password); err != nil {
			return err
		}
	}
	if s.target, err = postgres.Parse(options); err != nil {
		return fmt.Errorf("store postgres: %w", err)
	}
	s.identity = s.target.String() + " " + fingerprint(options)
	return nil
}

// fingerprintKey is random, so that a fingerprint reveals nothing outside this process.
var fingerprintKey = func() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
}()

// fingerprint distinguishes options without revealing them. It covers the password: a
// reload with a new password must connect with it.
func fingerprint(o postgres.Options) string {
	mac := hmac.New(sha256.New, fingerprintKey)
	for _, secret := range []plugins.Secret{o.URL, o.Password} {
		fmt.Fprintf(mac, "%q", secret.Reveal())
	}
	fmt.Fprint(mac, o.MaxConnections, o.Timeout)
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// UnmarshalCaddyfile reads the store. Syntax:
//
//	postgres <url> {
//	    password          <secret>
//	    max_connections   <count>
//	    statement_timeout <duration>
//	}
func (s *PostgresStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // store name
	if !d.NextArg() {
		return d.Err("store postgres needs a database: write `store postgres {env.DATABASE_URL}`")
	}
	s.URL = d.Val()
	if err := caddyfiletext.CheckSecret(d, "store postgres", s.URL); err != nil {
		return err
	}
	if d.NextArg() {
		return caddyfiletext.Surplus(d, "store postgres takes one URL, with several hosts separated by commas")
	}
	return caddyfiletext.Block(d, map[string]func() error{
		"password":          func() error { return caddyfiletext.Secret(d, &s.Password) },
		"max_connections":   func() error { return caddyfiletext.Number(d, &s.MaxConnections) },
		"statement_timeout": func() error { return caddyfiletext.Duration(d, &s.StatementTimeout) },
	})
}

// Open connects to the database.
func (s *PostgresStore) Open(ctx context.Context) (store.Store, error) {
	return postgres.Open(ctx, s.target)
}

// Identity is the place of the database, and a fingerprint of the connection options.
func (s *PostgresStore) Identity() string { return s.identity }

// Name is the place of the database.
func (s *PostgresStore) Name() string { return s.target.String() }

// PepperPath is empty: other machines can't read a file of this one.
func (s *PostgresStore) PepperPath() string { return "" }

// Interface guards.
var (
	_ gateway.StoreProvider = (*PostgresStore)(nil)
	_ caddy.Provisioner     = (*PostgresStore)(nil)
	_ caddyfile.Unmarshaler = (*PostgresStore)(nil)
)
