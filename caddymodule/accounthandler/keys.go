package accounthandler

import (
	"net/http"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/accounts"
)

// listKeys lists the keys that work; ?all=true those too that do not any more.
func (c *accountCall) listKeys() error {
	return c.charged(func(p *plugins.Principal) error {
		list, refusal, err := c.service.ListKeys(c.r.Context(), p, c.r.URL.Query().Get("all") == "true")
		return c.outcome(http.StatusOK, adminapi.List(list, adminapi.NewKey), refusal, err)
	})
}

func (c *accountCall) showKey() error {
	return c.withKey(http.StatusOK, func(p *plugins.Principal) (accounts.Key, *accounts.Refusal, error) {
		return c.service.ShowKey(c.r.Context(), p, c.id)
	})
}

func (c *accountCall) createKey() error {
	return c.withKey(http.StatusCreated, func(p *plugins.Principal) (accounts.Key, *accounts.Refusal, error) {
		return c.service.CreateKey(c.r.Context(), c.origin(), p, c.json)
	})
}

func (c *accountCall) changeKey() error {
	return c.withKey(http.StatusOK, func(p *plugins.Principal) (accounts.Key, *accounts.Refusal, error) {
		return c.service.ChangeKey(c.r.Context(), c.origin(), p, c.id, c.json)
	})
}

func (c *accountCall) rotateKey() error {
	return c.withKey(http.StatusCreated, func(p *plugins.Principal) (accounts.Key, *accounts.Refusal, error) {
		return c.service.RotateKey(c.r.Context(), c.origin(), p, c.id, c.optionalJSON)
	})
}

func (c *accountCall) revokeKey() error {
	return c.withKey(http.StatusOK, func(p *plugins.Principal) (accounts.Key, *accounts.Refusal, error) {
		return c.service.RevokeKey(c.r.Context(), c.origin(), p, c.id)
	})
}

// withKey charges the caller, and answers with what became of a key.
func (c *accountCall) withKey(status int, do func(p *plugins.Principal) (accounts.Key, *accounts.Refusal, error)) error {
	return c.charged(func(p *plugins.Principal) error {
		key, refusal, err := do(p)
		return c.outcome(status, adminapi.NewMadeKey(key.APIKey, key.Secret), refusal, err)
	})
}
