package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

// claims of a token as the issuers of the documented API make them.
type claims struct {
	Subject   string `json:"sub"`
	Role      string `json:"role"`
	Tier      string `json:"tier,omitempty"`
	ID        string `json:"jti"`
	IssuedAt  int64  `json:"iat"` // seconds since 1970
	ExpiresAt int64  `json:"exp"` // seconds since 1970
}

// mint returns a compact HS256 JWT (RFC 7519, RFC 7515 section 7.1). It is
// independent of the library that the gateway verifies with, on purpose.
func mint(secret []byte, c claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encoding claims: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(payload)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil)), nil
}

// newClaims returns claims that are good for lifetime from now on.
func newClaims(subject, role, tier string, now time.Time, lifetime time.Duration) claims {
	return claims{
		Subject:   subject,
		Role:      role,
		Tier:      tier,
		ID:        rand.Text(),
		IssuedAt:  now.Unix(),
		ExpiresAt: now.Add(lifetime).Unix(),
	}
}

func tokenCommand(args []string) error {
	flags := flag.NewFlagSet("token", flag.ContinueOnError)
	subject := flags.String("subject", "demo", "the sub claim")
	role := flags.String("role", "USER", "the role claim")
	tier := flags.String("tier", "free", "the tier claim")
	lifetime := flags.Duration("lifetime", 8*time.Hour, "exp - iat")
	if err := flags.Parse(args); err != nil {
		return err
	}
	// From the environment, since arguments show in the process list.
	secret := os.Getenv("PORTCULLIS_JWT_SECRET")
	if secret == "" {
		return errors.New("minting a token: PORTCULLIS_JWT_SECRET is not set")
	}
	token, err := mint([]byte(secret), newClaims(*subject, *role, *tier, time.Now(), *lifetime))
	if err != nil {
		return err
	}
	_, err = fmt.Println(token)
	return err
}
