package admin

import (
	"net/http"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/store"
)

func listKeys(r *adminRequest) (int, any, error) {
	query := r.URL.Query()
	filter := store.KeyFilter{Owner: query.Get("owner"), After: query.Get("after")}
	var err error
	if filter.Limit, err = pageLimit(query.Get("limit")); err != nil {
		return 0, nil, err
	}
	found, err := r.store.Keys(r.Context(), filter)
	return http.StatusOK, adminapi.List(found, adminapi.NewKey), err
}

func createKey(r *adminRequest, in adminapi.KeyInput) (int, any, error) {
	key, secret, err := r.keys.Create(r.Context(), plugins.KeyInput(in), nil)
	r.target = key.ID
	if err != nil && in.Owner != nil {
		r.target = decision.Clip(*in.Owner, 256)
	}
	return http.StatusCreated, adminapi.NewMadeKey(key, secret), err
}

func getKey(r *adminRequest) (int, any, error) {
	key, err := r.keys.Key(r.Context(), r.PathValue("id"))
	return http.StatusOK, adminapi.NewKey(key), err
}

func patchKey(r *adminRequest, in adminapi.KeyInput) (int, any, error) {
	key, err := r.keys.Update(r.Context(), r.PathValue("id"), plugins.KeyInput(in), nil)
	return http.StatusOK, adminapi.NewKey(key), err
}

func deleteKey(r *adminRequest) (int, any, error) {
	key, err := r.keys.Revoke(r.Context(), r.PathValue("id"))
	return http.StatusOK, adminapi.NewKey(key), err
}

func rotateKey(r *adminRequest) (int, any, error) {
	var in adminapi.Rotation
	if r.ContentLength != 0 {
		if err := r.decode(&in); err != nil {
			return 0, nil, err
		}
	}
	key, secret, err := r.keys.Rotate(r.Context(), r.PathValue("id"), in.Grace, nil)
	return http.StatusCreated, adminapi.NewMadeKey(key, secret), err
}
