package authhandler

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/caddymodule/internal/secret"
	"github.com/ainative/portcullis/plugins/auth/bearer/mint"
)

// IdentityToken is a short-lived signed token that names the caller to the upstream. Set
// either Secret or PrivateKey.
type IdentityToken struct {
	// Secret for HS256, 32 bytes or more, shared with the upstream. Placeholders
	// {env.*} and {file.*} are supported.
	Secret string `json:"secret,omitempty"`

	// PrivateKey for EdDSA: an Ed25519 key in PEM, or the path of such a file.
	// Placeholders {env.*} and {file.*} are supported.
	PrivateKey string `json:"private_key,omitempty"`

	// Audience that the upstream checks. Required.
	Audience string `json:"audience,omitempty"`

	// Lifetime of a token, 5m at most. Default: 60s.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// KeysPath is the path at which anybody can get the public key, as a JSON Web Key
	// Set. Default: none.
	KeysPath string `json:"keys_path,omitempty"`
}

// check returns the mistakes that can be found without secrets.
func (i *IdentityToken) check() error {
	var errs []error
	if i.Audience == "" {
		errs = append(errs, errors.New("identity_token needs an audience: write `audience NAME-OF-THE-UPSTREAM`"))
	}
	if (i.Secret == "") == (i.PrivateKey == "") {
		errs = append(errs, errors.New("identity_token needs either `secret` or `private_key`"))
	}
	if i.KeysPath != "" && (!strings.HasPrefix(i.KeysPath, "/") || i.PrivateKey == "") {
		errs = append(errs, fmt.Errorf("keys_path %s: write an absolute path, beside a private_key", i.KeysPath))
	}
	return errors.Join(errs...)
}

// minter resolves the key and makes the signer.
func (i *IdentityToken) minter() (*mint.Minter, error) {
	cfg := mint.Config{Audience: i.Audience, Lifetime: time.Duration(i.Lifetime)}
	var err error
	if i.Secret != "" {
		if cfg.Secret, err = secret.Resolve("identity_token: secret", i.Secret); err != nil {
			return nil, err
		}
	}
	if i.PrivateKey != "" {
		if cfg.PrivateKey, err = secret.ResolvePEM("identity_token: private_key", i.PrivateKey); err != nil {
			return nil, err
		}
	}
	return mint.New(cfg)
}

// serves reports whether the request asks for the public key.
func (i *IdentityToken) serves(r *http.Request) bool {
	return i.KeysPath != "" && r.URL.Path == i.KeysPath && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// serveKeys sends the key set, which is public.
func (*IdentityToken) serveKeys(w http.ResponseWriter, m *mint.Minter) error {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, err := w.Write(m.Keys())
	return err
}
