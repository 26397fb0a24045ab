package store

import (
	"fmt"
	"time"
)

// OwnerLimits is what holds for one owner instead of what the configuration says.
type OwnerLimits struct {
	// Owner is the owner that these limits hold for.
	Owner string
	// Tier instead of that of the owner's credentials; empty is no change.
	Tier string
	// Limits instead of the tier's and a route's, in the Caddyfile's own syntax, one
	// limit an element; empty is no change.
	Limits []string
	// Concurrency is how many requests may be under way at once; 0 is no change.
	Concurrency int
	// UpdatedAt is when it was set, in UTC with whole seconds.
	UpdatedAt time.Time
}

// CheckOwner tells whether it can be kept: Owner and UpdatedAt are there, and
// something is changed. The error wraps ErrInvalid.
func CheckOwner(o OwnerLimits) error {
	switch {
	case o.Owner == "" || o.UpdatedAt.IsZero():
		return fmt.Errorf("%w: limits of an owner without the owner, or the time of their setting", ErrInvalid)
	case o.Tier == "" && len(o.Limits) == 0 && o.Concurrency == 0:
		return fmt.Errorf("%w: limits of an owner that change nothing", ErrInvalid)
	case o.Concurrency < 0:
		return fmt.Errorf("%w: a concurrency of %d", ErrInvalid, o.Concurrency)
	case len(o.Limits) > MaxList:
		return fmt.Errorf("%w: %d limits of an owner, more than %d", ErrInvalid, len(o.Limits), MaxList)
	}
	if err := checkTexts("limits of an owner", append([]string{o.Owner, o.Tier}, o.Limits...)...); err != nil {
		return err
	}
	return checkTimes("limits of an owner", o.UpdatedAt)
}
