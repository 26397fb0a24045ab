package bearer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestKeyFileReload(t *testing.T) {
	k := testKeys()
	path := filepath.Join(t.TempDir(), "issuer.pem")
	write := func(data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(publicPEM(t, k.p256))
	synctest.Test(t, func(t *testing.T) {
		e := &events{}
		s := newSchemeOf(t, Config{Issuers: []IssuerConfig{{Name: "idp", PublicKeyFile: path}}, Log: e.log})
		s.verifier.Start(t.Context())
		nextPoll := func() {
			time.Sleep(keyFilePoll)
			synctest.Wait()
		}
		old := tokenNow(t, jwt.SigningMethodES256, k.p256, "")
		fresh := tokenNow(t, jwt.SigningMethodES256, k.p256b, "")
		expect(t, s, old, "ok")
		expect(t, s, fresh, "token_signature_invalid")

		nextPoll()
		if h := s.verifier.Health()[0]; !h.FetchedAt.Equal(time.Now()) {
			t.Errorf("health %+v, want keys that were confirmed just now", h)
		}
		before := s.verifier.CacheStats().Hits
		expect(t, s, old, "ok")
		if s.verifier.CacheStats().Hits != before+1 {
			t.Error("an unchanged file emptied the cache")
		}

		write([]byte("-----BEGIN PUBLIC KEY-----\nhalf written"))
		nextPoll()
		nextPoll()
		nextPoll()
		expect(t, s, old, "ok")
		if h := s.verifier.Health()[0]; h.Source != "public_key" || h.LastError == "" || !h.Usable || h.Age == 0 {
			t.Errorf("health %+v, want an error and usable keys of some age", h)
		}
		if n := e.count(EventKeysFailed); n != 1 {
			t.Errorf("%d events of one failure, want 1", n)
		}

		write(publicPEM(t, k.p256b))
		nextPoll()
		expect(t, s, fresh, "ok")
		expect(t, s, old, "token_signature_invalid") // although it was cached
		if n := e.count(EventKeysLoaded); n != 1 {
			t.Errorf("%d events of loaded keys, want 1", n)
		}

		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		nextPoll()
		expect(t, s, fresh, "ok")

		write([]byte(strings.Repeat("x", maxPEMBytes+1)))
		nextPoll()
		expect(t, s, fresh, "ok")
		if h := s.verifier.Health()[0]; !strings.Contains(h.LastError, "too large") {
			t.Errorf("last error %q, want one about the size", h.LastError)
		}

		write(publicPEM(t, k.p256b))
		nextPoll()
		if h := s.verifier.Health()[0]; h.LastError != "" || h.Age != 0 {
			t.Errorf("health %+v, want no error any more", h)
		}
		if err := s.verifier.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestReadBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := readBounded(path, 5); err != nil || string(data) != "12345" {
		t.Errorf("got %q, %v", data, err)
	}
	if data, err := readBounded(path, 4); err == nil {
		t.Errorf("got %q, want a refusal", data)
	}
}
