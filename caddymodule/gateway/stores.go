package gateway

import (
	"context"

	"github.com/ainative/portcullis/plugins/store"
)

// StoreProvider is what a module in the namespace `gateway.stores` is: it opens
// the store of API keys, revocations and the audit trail.
type StoreProvider interface {
	// Open opens the store. The error names the place and says what to do.
	Open(ctx context.Context) (store.Store, error)
	// Name says where the store is, without secrets, for people.
	Name() string
	// Identity tells stores apart, without giving secrets away: two configurations with
	// the same identity share one open store.
	Identity() string
	// PepperPath is the file in which a pepper that is not configured is kept;
	// empty if it must be configured.
	PepperPath() string
}
