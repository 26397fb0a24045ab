package accounts

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ainative/portcullis/plugins"
)

func TestRegister(t *testing.T) {
	b := newBench()
	u, refusal, err := b.Register(t.Context(), here, body(t, `{"email":" John.Doe@Example.COM ","password":"SecurePass123!","full_name":" John Doe ",
		"role":"ADMIN","tier":"enterprise","scopes":["admin"],"id":"1","epoch":9,"disabled_at":null}`))
	if refusal != nil || err != nil {
		t.Fatalf("got %+v, %v", refusal, err)
	}
	if u.Email != "john.doe@example.com" || u.Address != "John.Doe@example.com" || u.FullName != "John Doe" {
		t.Errorf("got %+v", u)
	}
	if u.Role != "USER" || u.Tier != "free" || len(u.Scopes) != 0 || u.Epoch != 1 || len(u.ID) != 36 {
		t.Errorf("the body chose what is not its to choose: %+v", u)
	}
	for _, same := range []string{"john.doe@example.com", "JOHN.DOE@EXAMPLE.COM", "ｊohn.doe@example.com", "john.doe@ＥＸＡＭＰＬＥ.com"} {
		hashes := b.hashes.Load()
		_, refusal, err := b.Register(t.Context(), here, body(t, `{"email":"`+same+`","password":"SecurePass123!","full_name":""}`))
		wantNo(t, same, refusal, err, http.StatusConflict, plugins.ReasonEmailTaken)
		if refusal != nil && refusal.Denial.Detail != "Email already registered" {
			t.Errorf("got %q", refusal.Denial.Detail)
		}
		if b.hashes.Load() != hashes {
			t.Error("an address that is taken was worth a hash")
		}
	}
	b.Open = false
	_, refusal, err = b.Register(t.Context(), here, body(t, `{"email":"b@example.com","password":"SecurePass123!","full_name":"B"}`))
	wantNo(t, "closed", refusal, err, http.StatusForbidden, plugins.ReasonRegistrationClosed)
}

func TestRegisterSaysWhatIsWrong(t *testing.T) {
	const missing, none, text = "value_error.missing", "type_error.none.not_allowed", "type_error.str"
	for _, tc := range []struct {
		name, body string
		want       []string
	}{
		{"nothing", `{}`, []string{"email " + missing, "password " + missing}},
		{"nulls", `{"email":null,"password":null}`, []string{"email " + none, "password " + none}},
		{"numbers", `{"email":1,"password":2,"full_name":3}`, []string{"email " + text, "password " + text, "full_name " + text}},
		{"objects", `{"email":{"$ne":""},"password":["SecurePass123!"]}`, []string{"email " + text, "password " + text}},
		{"no address", `{"email":"user","password":"SecurePass123!"}`, []string{"email value_error.email"}},
		{"short", `{"email":"u@example.com","password":"Ab1"}`, []string{"password value_error"}},
		{"no upper", `{"email":"u@example.com","password":"securepass123"}`, []string{"password value_error"}},
		{"no lower", `{"email":"u@example.com","password":"SECUREPASS123"}`, []string{"password value_error"}},
		{"no digit", `{"email":"u@example.com","password":"SecurePass"}`, []string{"password value_error"}},
		{"all of it", `{"email":"u@example.com","password":""}`, []string{"password value_error", "password value_error", "password value_error", "password value_error"}},
		{"long", `{"email":"u@example.com","password":"Aa1` + strings.Repeat("x", maxPassword) + `"}`, []string{"password value_error"}},
		{"control in the password", `{"email":"u@example.com","password":"SecurePass123\u0000"}`, []string{"password value_error"}},
		{"header injection", `{"email":"u@example.com","password":"SecurePass123!","full_name":"a\r\nX-Role: ADMIN"}`, []string{"full_name value_error"}},
		{"turned text", `{"email":"u@example.com","password":"SecurePass123!","full_name":"a\u202eb"}`, []string{"full_name value_error"}},
		{"long name", `{"email":"u@example.com","password":"SecurePass123!","full_name":"` + strings.Repeat("x", 257) + `"}`, []string{"full_name value_error.any_str.max_length"}},
	} {
		b := newBench()
		_, refusal, err := b.Register(t.Context(), here, body(t, tc.body))
		wantNo(t, tc.name, refusal, err, http.StatusUnprocessableEntity, plugins.ReasonBodyInvalid)
		if refusal == nil {
			continue
		}
		var got []string
		for _, f := range refusal.Fields {
			if f.Loc[0] != "body" {
				t.Errorf("%s: got loc %v", tc.name, f.Loc)
			}
			got = append(got, fmt.Sprint(f.Loc[1])+" "+f.Type)
			if strings.Contains(f.Msg, "Secure") || strings.Contains(refusal.Denial.Value, "Secure") {
				t.Errorf("%s: the refusal holds what was sent: %+v", tc.name, f)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
		if len(b.store.users) != 0 || b.hashes.Load() != 0 {
			t.Errorf("%s: something was made of it", tc.name)
		}
	}
}

// SQL is data: an address of it is no address, a name of it is a name.
func TestHostileTextIsData(t *testing.T) {
	b := newBench()
	for _, username := range []string{`' OR '1'='1`, `"; DROP TABLE users; --`, "a@b.com\r\nX-Role: ADMIN", "${jndi:ldap://x}", strings.Repeat("x", 60<<10)} {
		grant, refusal, err := b.try(t, username, "x")
		wantNo(t, username[:10], refusal, err, http.StatusUnauthorized, plugins.ReasonLoginFailed)
		if grant != nil {
			t.Error("a token was given")
		}
	}
	u, refusal, err := b.Register(t.Context(), here, body(t, `{"email":"o'brien@example.com","password":"SecurePass123!","full_name":"Robert'); DROP TABLE users;--"}`))
	if refusal != nil || err != nil || u.FullName != "Robert'); DROP TABLE users;--" {
		t.Errorf("got %+v, %+v, %v", u, refusal, err)
	}
}

func TestCreateAndResetPassword(t *testing.T) {
	b := newBench()
	b.Open = false
	operator := Origin{Actor: "admin", Address: "127.0.0.1"}
	u, password, refusal, err := b.Create(t.Context(), operator, body(t, `{"email":"root@example.com","role":"ADMIN","tier":"pro","scopes":["b","a","a"]}`))
	if refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if u.Role != "ADMIN" || u.Tier != "pro" || !slices.Equal(u.Scopes, []string{"a", "b"}) {
		t.Errorf("got %+v", u)
	}
	if wrong := CheckPassword(password.Reveal()); wrong != nil {
		t.Errorf("the password that was made breaks the rules: %v", wrong)
	}
	if grant, _, _ := b.try(t, "root@example.com", password.Reveal()); grant == nil {
		t.Error("the password that was made is not taken")
	}
	_, again, refusal, err := b.ResetPassword(t.Context(), operator, u.ID, body(t, `{}`))
	if refusal != nil || err != nil || again == password {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if grant, _, _ := b.try(t, "root@example.com", password.Reveal()); grant != nil {
		t.Error("the old password is taken")
	}
	if _, made, refusal, err := b.ResetPassword(t.Context(), operator, u.ID, body(t, `{"password":"ChosenPass1"}`)); refusal != nil || err != nil || !made.Empty() {
		t.Errorf("%+v, %v", refusal, err)
	}
	if grant, _, _ := b.try(t, "root@example.com", "ChosenPass1"); grant == nil {
		t.Error("the chosen password is not taken")
	}
	_, _, refusal, err = b.ResetPassword(t.Context(), operator, u.ID, body(t, `{"password":"weak"}`))
	wantNo(t, "weak", refusal, err, http.StatusUnprocessableEntity, plugins.ReasonBodyInvalid)
	_, _, refusal, err = b.ResetPassword(t.Context(), operator, "nobody", body(t, `{}`))
	wantNo(t, "nobody", refusal, err, http.StatusNotFound, plugins.ReasonAccountUnknown)
	for _, e := range b.trail {
		if e.Action == "user.create" && (e.Actor != "admin" || e.Target != u.ID || e.From != "127.0.0.1" || e.Result != "ok") {
			t.Errorf("got %+v", e)
		}
	}
}
