package accounts

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/ainative/portcullis/plugins"
)

// Keys is what makes and changes API keys. Its errors are those of package plugins,
// those of KeyHolder.Covers, and failures.
type Keys interface {
	Key(ctx context.Context, id string) (plugins.APIKey, error)
	OfOwner(ctx context.Context, owner string, all bool) ([]plugins.APIKey, error)
	Create(ctx context.Context, in plugins.KeyInput, by *plugins.KeyHolder) (plugins.APIKey, plugins.Secret, error)
	Update(ctx context.Context, id string, in plugins.KeyInput, by *plugins.KeyHolder) (plugins.APIKey, error)
	Rotate(ctx context.Context, id string, grace *string, by *plugins.KeyHolder) (plugins.APIKey, plugins.Secret, error)
	Revoke(ctx context.Context, id string) (plugins.APIKey, error)
}

// Key is a key of an owner. Secret is the key itself where it was just made.
type Key struct {
	plugins.APIKey
	Secret plugins.Secret
}

// Read reads the body of a request. It is called once the request is allowed.
type Read func() (*Body, *Refusal)

// Owner is a caller who has keys, as their account stands.
type Owner struct {
	Principal *plugins.Principal
	// User is the account; its ID is empty for subjects that have none.
	User plugins.User
}

// OwnerOf finds the account of a caller. A disabled one owns nothing.
func (s *Service) OwnerOf(ctx context.Context, p *plugins.Principal) (Owner, *Refusal, error) {
	u, err := s.Store.User(ctx, p.Subject)
	switch {
	case errors.Is(err, ErrNotFound):
		return Owner{Principal: p}, nil, nil
	case err != nil:
		return Owner{}, nil, unavailable(err)
	case !u.DisabledAt.IsZero():
		return Owner{}, noToken(plugins.ReasonAccountDisabled, "disabled account"), nil
	}
	return Owner{Principal: p, User: u}, nil, nil
}

// ListKeys lists the caller's keys that work or, where all are wanted, also those that
// no longer work.
func (s *Service) ListKeys(ctx context.Context, p *plugins.Principal, all bool) (list []plugins.APIKey, _ *Refusal, _ error) {
	err := s.withKeys(ctx, p, func(_ Owner, keys Keys) (err error) {
		list, err = keys.OfOwner(ctx, p.Subject, all)
		return err
	})
	refusal, err := s.outcome(err)
	return list, refusal, err
}

// ShowKey returns a key of the caller's.
func (s *Service) ShowKey(ctx context.Context, p *plugins.Principal, id string) (key Key, _ *Refusal, _ error) {
	err := s.withKeys(ctx, p, func(_ Owner, keys Keys) (err error) {
		key.APIKey, err = own(ctx, keys, p, id)
		return err
	})
	refusal, err := s.outcome(err)
	return key, refusal, err
}

// CreateKey makes a key: {name, expires_in_days?, expires_at?, role?, scopes?}. Owner,
// tier and limits are not the owner's to choose, and passed over. Without role and
// scopes the key grants what its owner has.
func (s *Service) CreateKey(ctx context.Context, o Origin, p *plugins.Principal, read Read) (Key, *Refusal, error) {
	return s.changeKeys(ctx, o, p, "key.create", "", func(owner Owner, keys Keys) (key Key, err error) {
		b, refusal := read()
		if refusal != nil {
			return key, refused{refusal}
		}
		in, refusal := s.newKey(owner, b)
		if refusal != nil {
			return key, refused{refusal}
		}
		key.APIKey, key.Secret, err = keys.Create(ctx, in, s.holder(owner))
		return key, err
	})
}

// ChangeKey changes a key of the caller's: what CreateKey takes, nothing of it
// required.
func (s *Service) ChangeKey(ctx context.Context, o Origin, p *plugins.Principal, id string, read Read) (Key, *Refusal, error) {
	return s.changeKeys(ctx, o, p, "key.update", id, func(owner Owner, keys Keys) (key Key, err error) {
		b, refusal := read()
		if refusal != nil {
			return key, refused{refusal}
		}
		in, refusal := s.readKey(owner, b)
		if refusal != nil {
			return key, refused{refusal}
		}
		key.APIKey, err = keys.Update(ctx, id, in, s.holder(owner))
		return key, err
	})
}

// RotateKey makes a key that takes the place of one of the caller's: {grace?}. It is
// handed out anew, and may grant no more than its owner has now: an operator may have
// made the old one.
func (s *Service) RotateKey(ctx context.Context, o Origin, p *plugins.Principal, id string, read Read) (Key, *Refusal, error) {
	return s.changeKeys(ctx, o, p, "key.rotate", id, func(owner Owner, keys Keys) (key Key, err error) {
		b, refusal := read()
		if refusal != nil {
			return key, refused{refusal}
		}
		var grace *string
		if text, given := b.OptionalText("grace"); given {
			grace = &text
		}
		if refusal := b.Refusal(); refusal != nil {
			return key, refused{refusal}
		}
		key.APIKey, key.Secret, err = keys.Rotate(ctx, id, grace, s.holder(owner))
		return key, err
	})
}

// RevokeKey ends a key of the caller's at once.
func (s *Service) RevokeKey(ctx context.Context, o Origin, p *plugins.Principal, id string) (Key, *Refusal, error) {
	return s.changeKeys(ctx, o, p, "key.revoke", id, func(_ Owner, keys Keys) (key Key, err error) {
		key.APIKey, err = keys.Revoke(ctx, id)
		return key, err
	})
}

// changeKeys changes the key with this id, or makes one if id is empty, for a caller
// who may. It writes every outcome in the audit trail.
func (s *Service) changeKeys(ctx context.Context, o Origin, p *plugins.Principal, action, id string, change func(Owner, Keys) (Key, error)) (key Key, _ *Refusal, _ error) {
	err := s.withKeys(ctx, p, func(owner Owner, keys Keys) error {
		if id != "" {
			if _, err := own(ctx, keys, p, id); err != nil {
				return err
			}
		}
		// Only a token will do: a stolen key must not make more keys.
		if p.Scheme != plugins.SchemeBearer {
			return refused{needsToken()}
		}
		var err error
		key, err = change(owner, keys)
		return err
	})
	refusal, err := s.outcome(err)
	target, result := id, "ok"
	switch {
	case err != nil:
		result = err.Error()
	case refusal != nil:
		result = string(refusal.Denial.Reason)
	case target == "":
		target = key.ID
	}
	if target == "" {
		target = p.Subject
	}
	s.audit(ctx, o, p.Subject, action, target, result)
	return key, refusal, err
}

// withKeys finds the caller's account, and what makes and changes keys.
func (s *Service) withKeys(ctx context.Context, p *plugins.Principal, do func(Owner, Keys) error) error {
	owner, refusal, err := s.OwnerOf(ctx, p)
	if err != nil {
		return err
	}
	if refusal != nil {
		return refused{refusal}
	}
	keys, err := s.OpenKeys(ctx)
	if err != nil {
		return err
	}
	return do(owner, keys)
}

// own finds a key of the caller's. A key of another owner is not found.
func own(ctx context.Context, keys Keys, p *plugins.Principal, id string) (plugins.APIKey, error) {
	key, err := keys.Key(ctx, id)
	if err == nil && (key.Owner != p.Subject || key.Owner == "") {
		return plugins.APIKey{}, plugins.ErrNotFound
	}
	return key, err
}

// refused carries a refusal as an error up to outcome.
type refused struct{ *Refusal }

func (r refused) Error() string { return string(r.Denial.Reason) }

// outcome tells a refusal from a failure.
func (s *Service) outcome(err error) (*Refusal, error) {
	if err == nil {
		return nil, nil
	}
	if r, is := errors.AsType[refused](err); is {
		return r.Refusal, nil
	}
	if bad, is := errors.AsType[*plugins.InputError](err); is {
		return Wrong(Field{Loc: []any{"body", bad.Field}, Msg: bad.Text, Type: "value_error"}), nil
	}
	conflict := func(reason plugins.Reason, detail, value, bound string) (*Refusal, error) {
		return refuse(http.StatusConflict, reason, detail, value, bound), nil
	}
	switch {
	case errors.Is(err, plugins.ErrNotFound):
		return notFound(plugins.ReasonKeyNotFound), nil
	case errors.Is(err, plugins.ErrTooMany):
		return conflict(plugins.ReasonTooManyKeys, "Too many API keys", "", "keys_per_owner "+strconv.Itoa(s.KeysPerOwner))
	case errors.Is(err, plugins.ErrAccountChanged):
		return Changed(), nil
	case errors.Is(err, plugins.ErrConflict):
		return conflict(plugins.ReasonKeyState, "", err.Error(), "")
	}
	return nil, unavailable(err)
}

// Changed is the answer for an account that changed while it was being asked for
// something.
func Changed() *Refusal {
	return refuse(http.StatusConflict, plugins.ReasonAccountChanged, "", "the account changed meanwhile", "")
}
