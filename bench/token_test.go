package main

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestMint(t *testing.T) {
	c := claims{Subject: "u1", Role: "USER", Tier: "free", ID: "j1", IssuedAt: 1770112800, ExpiresAt: 1770141600}
	got, err := mint([]byte("0123456789abcdef0123456789abcdef"), c)
	if err != nil {
		t.Fatal(err)
	}
	// The signature was made with: openssl dgst -sha256 -hmac SECRET -binary | base64
	want := "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9" +
		".eyJzdWIiOiJ1MSIsInJvbGUiOiJVU0VSIiwidGllciI6ImZyZWUiLCJqdGkiOiJqMSIsImlhdCI6MTc3MDExMjgwMCwiZXhwIjoxNzcwMTQxNjAwfQ" +
		".mgPl8fXHPBxAHgwz7nD7aac62NmlCedob5D6vIdyMIs"
	if got != want {
		t.Errorf("mint() = %s, want %s", got, want)
	}
}

func TestNewClaims(t *testing.T) {
	now := time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)
	a := newClaims("u1", "USER", "pro", now, 8*time.Hour)
	b := newClaims("u1", "USER", "pro", now, 8*time.Hour)
	if got, want := a.ExpiresAt-a.IssuedAt, int64(8*60*60); got != want {
		t.Errorf("lifetime = %d s, want %d", got, want)
	}
	if a.ID == b.ID {
		t.Errorf("two tokens have the same jti %q", a.ID)
	}
}

// Tokens of the benchmark are about as long as those of the measurements that
// its budget comes from (296 bytes).
func TestTokenLength(t *testing.T) {
	token, err := mint([]byte("secret"), newClaims("user-001", "USER", "bench", time.Now(), time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(token) < 200 || len(token) > 400 {
		t.Errorf("token of %d bytes, want 200 to 400", len(token))
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var got claims
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	if got.Subject != "user-001" {
		t.Errorf("sub = %q, want user-001", got.Subject)
	}
}
