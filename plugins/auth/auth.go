// Package auth asks who is calling. It stands after the error handler and
// before roles: it finds the one credential of a request, gives it to an ordered
// chain of schemes, and answers with a principal, a denial or a failure.
package auth

import (
	"context"
	"errors"
	"net/netip"

	"github.com/ainative/portcullis/plugins"
)

// ErrNotMine is what a Scheme returns for a credential that is not of its kind,
// so that the chain asks the next one. A credential that is of its kind and bad
// is a Denial.
var ErrNotMine = errors.New("credential is not of this scheme")

// A Source says which header a credential came from.
type Source uint8

// The sources of a credential.
const (
	// FromAuthorization is `Authorization: Bearer <value>`.
	FromAuthorization Source = iota + 1
	// FromKeyHeader is the API key header, X-API-Key unless configured.
	FromKeyHeader
)

// Credential is the one credential of a request. Its value comes from an enemy
// until a scheme says otherwise.
type Credential struct {
	Source Source
	// Value is the credential itself, without `Bearer `: 1 byte or more, printable
	// ASCII without spaces.
	Value string
	// ClientIP is the caller's address as the server resolved it; the zero Addr
	// where it is not known.
	ClientIP netip.Addr
	// DryRun says that nobody sent the credential: it is judged as ever, and its use
	// is not noted.
	DryRun bool
}

// String hides the value.
func (Credential) String() string { return "[credential]" }

// Scheme recognises one kind of credential. Implementations are safe for
// concurrent use. Exactly one of the three results is set:
//
//   - a Principal: the credential is good. It is shared and must not be changed;
//   - a Denial: the credential is of this scheme and bad;
//   - an error: ErrNotMine, or a failure to decide (a *plugins.Unavailable).
type Scheme interface {
	// Name is plugins.SchemeBearer or plugins.SchemeAPIKey.
	Name() string
	Authenticate(ctx context.Context, c Credential) (*plugins.Principal, *plugins.Denial, error)
}
