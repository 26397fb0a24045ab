package admin

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/ainative/portcullis/caddymodule/accounthandler"
	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/accounts"
	"github.com/ainative/portcullis/plugins/problem"
	"github.com/ainative/portcullis/plugins/store"
)

// accountRefusal adapts an accounts.Refusal to error, for answers of the admin API.
type accountRefusal struct{ *accounts.Refusal }

func (e *accountRefusal) Error() string { return string(e.Denial.Reason) }

func (e *accountRefusal) status() int { return e.Denial.Status }

// detail is the list of fields, or a text.
func (e *accountRefusal) detail() any {
	if len(e.Fields) == 0 {
		if e.Denial.Detail == "" {
			return problem.Text(e.Denial.Status)
		}
		return e.Denial.Detail
	}
	list := make([]map[string]any, 0, len(e.Fields))
	for _, f := range e.Fields {
		list = append(list, map[string]any{"loc": f.Loc, "msg": f.Msg, "type": f.Type})
	}
	return list
}

func (r *adminRequest) origin() accounts.Origin {
	return accounts.Origin{Actor: "admin", Address: r.from()}
}

// withAccountBody is a handler that takes what the body says of an account. There may
// be no body.
func withAccountBody(handle func(r *adminRequest, b *accounts.Body) (int, any, error)) adminHandler {
	return func(r *adminRequest) (int, any, error) {
		b, refusal := accounts.ReadBody(r.Body, r.ContentLength, "", accounts.ParseOptionalJSON)
		if refusal != nil {
			return 0, nil, &accountRefusal{refusal}
		}
		return handle(r, b)
	}
}

// user finds the account of the path, by its id or its address.
func (r *adminRequest) user() (plugins.User, error) {
	id := r.PathValue("id")
	if email, ok := accounts.ParseEmail(id); ok {
		return r.store.UserByEmail(r.Context(), email.Canonical)
	}
	return r.store.User(r.Context(), id)
}

func listUsers(r *adminRequest) (int, any, error) {
	query := r.URL.Query()
	filter := store.UserFilter{After: query.Get("after")}
	var err error
	if filter.Limit, err = pageLimit(query.Get("limit")); err != nil {
		return 0, nil, err
	}
	users, err := r.store.Users(r.Context(), filter)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, adminapi.List(users, adminapi.NewUser), nil
}

// pageLimit reads how many records are wanted; none is all.
func pageLimit(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, plugins.Invalid("limit", "write a whole number of 1 or more")
	}
	return n, nil
}

func createUser(r *adminRequest, b *accounts.Body) (int, any, error) {
	service, release := accounthandler.NewService(r.app)
	defer release()
	u, made, refusal, err := service.Create(r.Context(), r.origin(), b)
	return shownUser(http.StatusCreated, u, made, refusal, err)
}

// shownUser answers with an account, and with a password that was made.
func shownUser(status int, u plugins.User, made plugins.Secret, refusal *accounts.Refusal, err error) (int, any, error) {
	switch {
	case err != nil:
		return 0, nil, err
	case refusal != nil:
		return 0, nil, &accountRefusal{refusal}
	}
	shown := adminapi.NewUser(u)
	shown.Password = made.Reveal()
	return status, shown, nil
}

func getUser(r *adminRequest) (int, any, error) {
	u, err := r.user()
	return http.StatusOK, adminapi.NewUser(u), err
}

// onUser does something to the account of the path.
func onUser(r *adminRequest, do func(s *accounts.Service, id string) (plugins.User, plugins.Secret, *accounts.Refusal, error)) (int, any, error) {
	u, err := r.user()
	if err != nil {
		return 0, nil, err
	}
	service, release := accounthandler.NewService(r.app)
	defer release()
	u, made, refusal, err := do(service, u.ID)
	return shownUser(http.StatusOK, u, made, refusal, err)
}

func patchUser(r *adminRequest, b *accounts.Body) (int, any, error) {
	return onUser(r, func(s *accounts.Service, id string) (u plugins.User, _ plugins.Secret, refusal *accounts.Refusal, err error) {
		u, refusal, err = s.Update(r.Context(), r.origin(), id, b)
		return u, plugins.Secret{}, refusal, err
	})
}

// switchUser is a handler that disables or enables the account of the path.
func switchUser(do func(*accounts.Service, context.Context, accounts.Origin, string) (plugins.User, *accounts.Refusal, error)) adminHandler {
	return func(r *adminRequest) (int, any, error) {
		return onUser(r, func(s *accounts.Service, id string) (u plugins.User, _ plugins.Secret, refusal *accounts.Refusal, err error) {
			u, refusal, err = do(s, r.Context(), r.origin(), id)
			return u, plugins.Secret{}, refusal, err
		})
	}
}

func resetPassword(r *adminRequest, b *accounts.Body) (int, any, error) {
	return onUser(r, func(s *accounts.Service, id string) (plugins.User, plugins.Secret, *accounts.Refusal, error) {
		return s.ResetPassword(r.Context(), r.origin(), id, b)
	})
}

// listAudit lists the trail, newest first.
func listAudit(r *adminRequest) (int, any, error) {
	query := r.URL.Query()
	filter := store.AuditFilter{Actor: query.Get("actor"), Action: query.Get("action"), Target: query.Get("target"), Limit: adminapi.DefaultAuditLimit}
	limit, err := pageLimit(query.Get("limit"))
	if err != nil {
		return 0, nil, err
	}
	if limit != 0 {
		filter.Limit = limit
	}
	if since := query.Get("since"); since != "" {
		if filter.Since, err = time.Parse(time.RFC3339, since); err != nil {
			return 0, nil, plugins.Invalid("since", "write a time, RFC 3339")
		}
	}
	if before := query.Get("before"); before != "" {
		if filter.Before, err = strconv.ParseInt(before, 10, 64); err != nil || filter.Before < 1 {
			return 0, nil, plugins.Invalid("before", "write the id of an entry")
		}
	}
	entries, err := r.store.Audit(r.Context(), filter)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, adminapi.List(entries, adminapi.NewAuditEntry), nil
}
