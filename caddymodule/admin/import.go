package admin

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/apikey"
	"github.com/ainative/portcullis/plugins/store"
)

// importKeys imports the keys of another system from CSV: all of them or none.
func importKeys(r *adminRequest) (int, any, error) {
	r.target = "keys"
	if !r.app.ForeignKeys {
		return 0, nil, plugins.Invalid("(config)", "imported keys are not accepted: add `foreign_keys` to the global gateway block and reload")
	}
	peppers, err := r.app.Peppers(r.Context())
	if err != nil {
		return 0, nil, err
	}
	keys, err := apikey.ParseImport(r.Body, peppers, time.Now())
	if err != nil {
		r.unreadable = true
		return 0, nil, plugins.Invalid("(file)", err.Error())
	}
	r.target = strconv.Itoa(len(keys)) + " keys"
	for i, key := range keys {
		for field, value := range map[string]string{"role": key.Role, "tier": key.Tier} {
			if value == "" {
				continue
			}
			if wrong := r.app.CheckRight(field, value); wrong != "" {
				return 0, nil, plugins.Invalid(field, "key "+strconv.Itoa(i+1)+": "+wrong)
			}
		}
	}
	err = r.store.CreateKeys(r.Context(), keys)
	if errors.Is(err, store.ErrExists) {
		return 0, nil, err
	}
	r.app.RecheckKeys()
	return http.StatusCreated, adminapi.Imported{Imported: len(keys)}, err
}
