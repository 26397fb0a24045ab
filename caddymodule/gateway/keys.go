package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/auth/apikey"
)

// keyScheme is the scheme of API keys of one configuration. It is completed when the
// store is opened, because a pepper that is not configured is kept beside it.
type keyScheme struct {
	shared      *sharedStore
	pepper      plugins.Secret
	previous    plugins.Secret
	defaultRole string
	foreign     bool
	// used says that some handler accepts API keys.
	used atomic.Bool

	mu     sync.Mutex
	made   atomic.Pointer[madeKeys]
	closed bool
}

// madeKeys is the part of a keyScheme that needs the pepper.
type madeKeys struct {
	scheme  *apikey.Scheme
	peppers *apikey.Peppers
}

// Name implements auth.Scheme.
func (*keyScheme) Name() string { return plugins.SchemeAPIKey }

// Authenticate implements auth.Scheme.
func (k *keyScheme) Authenticate(ctx context.Context, c auth.Credential) (*plugins.Principal, *plugins.Denial, error) {
	made, err := k.open(ctx)
	if err != nil {
		if c.Source == auth.FromAuthorization && !k.foreign && !apikey.Recognised(c.Value) {
			return nil, nil, auth.ErrNotMine
		}
		if !c.DryRun {
			k.shared.undecided.Store(true)
		}
		return nil, nil, &plugins.Unavailable{Reason: plugins.ReasonStoreUnavailable, Err: err}
	}
	p, denial, err := made.scheme.Authenticate(ctx, c)
	if _, failed := errors.AsType[*plugins.Unavailable](err); failed && !c.DryRun {
		k.shared.undecided.Store(true)
	}
	return p, denial, err
}

// answers reports whether some API keys can be checked without the store.
func (k *keyScheme) answers() bool {
	made := k.made.Load()
	return made != nil && made.scheme.Answers()
}

// open opens the store and completes the scheme, unless that is done.
func (k *keyScheme) open(ctx context.Context) (*madeKeys, error) {
	if made := k.made.Load(); made != nil {
		return made, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if made := k.made.Load(); made != nil {
		return made, nil
	}
	if _, err := k.shared.open(ctx); err != nil {
		return nil, err
	}
	peppers, err := k.peppers()
	if err != nil {
		return nil, err
	}
	scheme, err := apikey.New(apikey.Config{
		Lookup:      k.shared,
		Peppers:     peppers,
		DefaultRole: k.defaultRole,
		Foreign:     k.foreign,
		Used:        k.shared,
	})
	if err != nil {
		return nil, err
	}
	made := &madeKeys{scheme: scheme, peppers: peppers}
	if !k.closed {
		k.shared.attach(scheme)
	}
	k.made.Store(made)
	return made, nil
}

func (k *keyScheme) peppers() (*apikey.Peppers, error) {
	secret := k.pepper
	if secret.Empty() {
		var err error
		if secret, err = keptPepper(k.shared.provider.PepperPath()); err != nil {
			return nil, err
		}
	}
	current, err := pepperOf("pepper", secret)
	if err != nil {
		return nil, err
	}
	var previous apikey.Pepper
	if !k.previous.Empty() {
		if previous, err = pepperOf("previous pepper", k.previous); err != nil {
			return nil, err
		}
	}
	return apikey.NewPeppers(current, previous)
}

// close detaches the cache of this configuration from the store. Requests in flight can
// still use it.
func (k *keyScheme) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if made := k.made.Load(); made != nil {
		k.shared.detach(made.scheme)
	}
}
