package admin

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/apikey"
	"github.com/ainative/portcullis/plugins/decision"
)

// newRevocation makes the record that an input asks for.
func newRevocation(in adminapi.RevocationInput, app *gateway.App, now time.Time) (plugins.Revocation, error) {
	now = now.UTC().Truncate(time.Second)
	rev := plugins.Revocation{Issuer: in.Issuer, Note: in.Note, CreatedAt: now}
	if in.Issuer != "" && !slices.ContainsFunc(app.Issuers, func(i gateway.Issuer) bool { return i.Name == in.Issuer }) {
		return rev, plugins.Invalid("issuer", "there is no issuer of this name in the running configuration")
	}
	switch {
	case in.JTI != "" && in.Subject != "", in.JTI != "" && in.KID != "", in.Subject != "" && in.KID != "":
		return rev, plugins.Invalid("jti", "give one of jti, subject and kid")
	case in.JTI != "" && in.IssuedBefore != nil:
		return rev, plugins.Invalid("issued_before", "goes with subject, or alone; a jti names one token")
	case in.KID != "" && in.IssuedBefore != nil:
		return rev, plugins.Invalid("issued_before", "goes with subject, or alone; whoever has a signing key can date tokens as they like")
	case in.KID != "":
		rev.Kind, rev.Value = plugins.RevokeSigningKey, in.KID
	case in.JTI != "":
		rev.Kind, rev.Value = plugins.RevokeTokenID, in.JTI
	case in.Subject != "":
		rev.Kind, rev.Value = plugins.RevokeSubject, in.Subject
	case in.IssuedBefore != nil:
		rev.Kind = plugins.RevokeIssuedBefore
	default:
		return rev, plugins.Invalid("jti", "give jti, subject, kid, or issued_before")
	}
	for field, text := range map[string]string{"jti": in.JTI, "subject": in.Subject, "kid": in.KID, "note": in.Note} {
		if err := plugins.CheckText(field, text, 0, 512); err != nil {
			return rev, err
		}
	}
	last := now
	if rev.Kind == plugins.RevokeSubject || rev.Kind == plugins.RevokeIssuedBefore {
		rev.IssuedBefore = now
		if in.IssuedBefore != nil {
			rev.IssuedBefore = in.IssuedBefore.UTC().Truncate(time.Second)
		}
		if rev.IssuedBefore.After(last) {
			last = rev.IssuedBefore
		}
	}
	if rev.Kind != plugins.RevokeSigningKey {
		// A key that got out signs new tokens for ever.
		rev.ExpiresAt = last.Add(app.RevocationsKept())
	}
	var err error
	rev.ID, err = apikey.NewID()
	return rev, err
}

func listRevocations(r *adminRequest) (int, any, error) {
	all, err := r.store.Revocations(r.Context(), time.Now())
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, adminapi.List(all, adminapi.NewRevocation), nil
}

func addRevocation(r *adminRequest, in adminapi.RevocationInput) (int, any, error) {
	r.target = decision.Clip(cmp.Or(in.JTI, in.Subject, in.KID), 256)
	rev, err := newRevocation(in, r.app, time.Now())
	if err != nil {
		return 0, nil, err
	}
	if err := r.store.Revoke(r.Context(), rev); err != nil {
		return 0, nil, err
	}
	// In force on this node when the answer is sent; other processes follow.
	r.app.Revocations().Add(rev)
	r.target = rev.ID
	return http.StatusCreated, adminapi.NewRevocation(rev), nil
}

func deleteRevocation(r *adminRequest) (int, any, error) {
	id := r.PathValue("id")
	err := r.store.DeleteRevocation(r.Context(), id)
	if err == nil {
		r.app.Revocations().Remove(id)
	}
	return http.StatusOK, map[string]string{"id": id}, err
}
