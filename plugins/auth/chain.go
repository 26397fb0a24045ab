package auth

import (
	"context"
	"errors"

	"github.com/ainative/portcullis/plugins"
)

// Chain asks schemes in order. The first that knows the credential decides; a
// bad credential is never offered to the next scheme.
type Chain []Scheme

// Authenticate returns exactly one of a principal, a denial and a failure. A
// credential that no scheme knows is denied.
func (ch Chain) Authenticate(ctx context.Context, c Credential) (*plugins.Principal, *plugins.Denial, error) {
	for _, scheme := range ch {
		p, d, err := scheme.Authenticate(ctx, c)
		switch {
		case errors.Is(err, ErrNotMine):
			continue
		case err != nil:
			return nil, nil, err
		case d != nil:
			d.Of.Scheme = scheme.Name()
			return nil, d, nil
		case p != nil:
			return p, nil, nil
		}
		return nil, nil, &plugins.Unavailable{
			Reason: plugins.ReasonSchemeUndecided,
			Err:    errors.New("scheme " + scheme.Name() + " decided nothing"),
		}
	}
	if c.Source == FromKeyHeader {
		return nil, DenyKey(plugins.ReasonCredentialUnknown, "credential of no configured scheme", ""), nil
	}
	return nil, DenyToken(plugins.ReasonCredentialUnknown, "credential of no configured scheme", ""), nil
}
