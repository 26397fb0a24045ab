package caddymodule

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/plugins/store"
)

func listKeys(r *adminRequest) (int, any, error) {
	query := r.URL.Query()
	filter := store.KeyFilter{Owner: query.Get("owner"), After: query.Get("after")}
	if limit := query.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 {
			return 0, nil, &inputError{"limit", "write a whole number of 1 or more"}
		}
		filter.Limit = n
	}
	keys, err := r.records.store.Keys(r.Context(), filter)
	if err != nil {
		return 0, nil, err
	}
	list := make([]keyJSON, 0, len(keys))
	for _, key := range keys {
		list = append(list, showKey(key))
	}
	return http.StatusOK, list, nil
}

func createKey(r *adminRequest) (int, any, error) {
	var in keyInput
	if err := r.decode(&in); err != nil {
		return 0, nil, err
	}
	key, secret, err := r.keys.create(r.Context(), in)
	if err != nil {
		return 0, nil, err
	}
	r.audit("key.create", key.ID, nil)
	shown := showKey(key)
	shown.APIKey = secret.Reveal()
	return http.StatusCreated, shown, nil
}

func getKey(r *adminRequest) (int, any, error) {
	key, err := r.records.store.Key(r.Context(), r.PathValue("id"))
	return http.StatusOK, showKey(key), err
}

func patchKey(r *adminRequest) (int, any, error) {
	var in keyInput
	if err := r.decode(&in); err != nil {
		return 0, nil, err
	}
	id := r.PathValue("id")
	key, err := r.keys.update(r.Context(), id, in)
	r.audit("key.update", id, err)
	return http.StatusOK, showKey(key), err
}

func deleteKey(r *adminRequest) (int, any, error) {
	id := r.PathValue("id")
	key, err := r.keys.revoke(r.Context(), id)
	r.audit("key.revoke", id, err)
	return http.StatusOK, showKey(key), err
}

func rotateKey(r *adminRequest) (int, any, error) {
	in := adminapi.Rotation{Grace: adminapi.DefaultGrace}
	if r.ContentLength != 0 {
		if err := r.decode(&in); err != nil {
			return 0, nil, err
		}
	}
	grace, err := caddy.ParseDuration(in.Grace)
	if err != nil || grace < 0 || grace > 365*24*time.Hour {
		return 0, nil, &inputError{"grace", fmt.Sprintf("%q is not a duration of up to 365d: write one like 24h, or 0s", clip(in.Grace, 40))}
	}
	id := r.PathValue("id")
	key, secret, err := r.keys.rotate(r.Context(), id, grace)
	r.audit("key.rotate", id, err)
	if err != nil {
		return 0, nil, err
	}
	shown := showKey(key)
	shown.APIKey = secret.Reveal()
	return http.StatusCreated, shown, nil
}
