package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/ainative/portcullis/plugins"
)

func testPeppers(t testing.TB) *Peppers {
	t.Helper()
	p, err := NewPeppers(Pepper{Version: 2, Secret: plugins.NewSecret("new pepper")}, Pepper{Version: 1, Secret: plugins.NewSecret("old pepper")})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestHashIsHMACSHA256(t *testing.T) {
	p := testPeppers(t)
	for _, key := range []string{"", "k", strings.Repeat("x", MaxLength), strings.Repeat("y", 3*MaxLength+1)} {
		for version, secret := range map[int]string{2: "new pepper", 1: "old pepper"} {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(key))
			// Twice: the second takes a used state from the pool.
			for range 2 {
				got, err := p.Hash(version, key)
				if err != nil {
					t.Fatal(err)
				}
				if want := Hash(mac.Sum(nil)); got != want {
					t.Errorf("Hash(%d, %d bytes) = %x, want %x", version, len(key), got, want)
				}
			}
		}
		got, err := p.Hash(Unpeppered, key)
		if err != nil {
			t.Fatal(err)
		}
		if want := sha256.Sum256([]byte(key)); got != want {
			t.Errorf("Hash(Unpeppered, %d bytes) = %x, want %x", len(key), got, want)
		}
		current, _ := p.Hash(p.Version(), key)
		if got := p.Sum(key); got != current {
			t.Errorf("Sum = %x, want that of the current version, %x", got, current)
		}
	}
	if _, err := p.Hash(3, "k"); err == nil {
		t.Error("Hash(3) = nil error, want a refusal: no such version")
	}
}

func TestNewPeppers(t *testing.T) {
	good := Pepper{Version: 2, Secret: plugins.NewSecret("s")}
	cases := []struct {
		name              string
		current, previous Pepper
		versions          int
		wantErr           string
	}{
		{name: "one", current: good, versions: 1},
		{name: "two", current: good, previous: Pepper{Version: 1, Secret: plugins.NewSecret("t")}, versions: 2},
		{name: "empty", current: Pepper{Version: 1}, wantErr: "reading the pepper: it is empty"},
		{name: "version 0", current: Pepper{Secret: good.Secret}, wantErr: "version is 0"},
		{name: "previous empty", current: good, previous: Pepper{Version: 1}, wantErr: "reading the previous pepper: it is empty"},
		{name: "previous without version", current: good, previous: Pepper{Secret: good.Secret}, wantErr: "version is 0"},
		{name: "same version", current: good, previous: Pepper{Version: 2, Secret: plugins.NewSecret("t")}, wantErr: "version of the current one, 2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, err := NewPeppers(c.current, c.previous)
			if c.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Fatalf("err = %v, want one with %q", err, c.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := len(p.hashers(false)); got != c.versions {
				t.Errorf("%d versions, want %d", got, c.versions)
			}
		})
	}
}

func BenchmarkHash(b *testing.B) {
	p := testPeppers(b)
	key, err := Generate(true, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Sum(key.Reveal())
	}
}

func TestHashOfAVersionNotInUse(t *testing.T) {
	p, err := NewPeppers(Pepper{Version: 2, Secret: plugins.NewSecret("pepper")}, Pepper{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Hash(1, "key"); err == nil || !strings.Contains(err.Error(), "no pepper has version 1") {
		t.Errorf("got %v, want an error that names the version", err)
	}
}

// What is kept for the next hash must not hold the key of the last.
func TestHashForgetsTheKey(t *testing.T) {
	k, err := newKeyed(Pepper{Version: 1, Secret: plugins.NewSecret("pepper")})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		k.sum(strings.Repeat("k", MaxLength))
		s := k.states.Get().(*state)
		if s.in != [MaxLength]byte{} {
			t.Fatal("the key is still there")
		}
		k.states.Put(s)
	}
}
