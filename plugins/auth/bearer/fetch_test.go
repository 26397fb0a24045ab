package bearer

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// These tests use real connections: TLS, redirects and bodies that don't end are
// the transport's business, which a fake would leave out.

// fetchOnce fetches a key set as an issuer would.
func fetchOnce(t *testing.T, client *http.Client, url string) (*readKeys, error) {
	t.Helper()
	c := IssuerConfig{Name: "idp", JWKS: url}
	if err := c.validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), fetchTimeout)
	defer cancel()
	return newJWKS(&c, &environment{clock: time.Now, log: func(Event) {}, client: client}).fetch(ctx)
}

func TestFetchOverTLS(t *testing.T) {
	keys := keySetOf(jwkOf(t, "a", testKeys().p256))
	var elsewhereAsked atomic.Int32
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhereAsked.Add(1)
		fmt.Fprint(w, keys)
	}))
	defer elsewhere.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhereAsked.Add(1)
		fmt.Fprint(w, keys)
	}))
	defer plain.Close()

	mux := http.NewServeMux()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, keys) })
	mux.Handle("/here", http.RedirectHandler("/keys", http.StatusFound))
	mux.Handle("/elsewhere", http.RedirectHandler(elsewhere.URL, http.StatusFound))
	mux.Handle("/plain", http.RedirectHandler(plain.URL, http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	mux.HandleFunc("/cookie", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		fmt.Fprint(w, keys)
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		block := []byte(strings.Repeat(" ", 1<<20))
		for range 200 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/headers", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 2*maxFetchHeaders))
		fmt.Fprint(w, keys)
	})
	mux.HandleFunc("/largest", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, keys+strings.Repeat(" ", maxJWKSBytes-len(keys)))
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, r *http.Request) {
		if accept := r.Header.Get("Accept"); !strings.Contains(accept, "application/jwk-set+json") {
			t.Errorf("Accept %q is sent, want key sets", accept)
		}
		if r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("Accept-Encoding %q is sent; a small body could unpack into a large one", r.Header.Get("Accept-Encoding"))
		}
		fmt.Fprint(w, keys)
	})
	server := httptest.NewUnstartedServer(mux)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it hears of refused certificates
	server.StartTLS()
	defer server.Close()

	client := newFetcher(nil, server.URL).client
	client.Transport.(*http.Transport).TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
	for _, tc := range []struct{ path, want string }{
		{"/keys", ""},
		{"/here", ""},
		{"/cookie", ""},
		{"/gzip", ""},
		{"/largest", ""},
		{"/elsewhere", "redirected to another host"},
		{"/plain", "redirected to another host"},
		{"/round", "redirected more than"},
		{"/none", "answered 404"},
		{"/endless", "answered with more than 1048576 bytes"},
		{"/headers", "server response headers exceeded"},
	} {
		t.Run(tc.path, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := fetchOnce(t, client, server.URL+tc.path)
			runtime.ReadMemStats(&after)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
				t.Errorf("%d bytes allocated", used)
			}
		})
	}
	if elsewhereAsked.Load() != 0 {
		t.Error("another host was asked")
	}
	t.Run("a certificate of nobody we know", func(t *testing.T) {
		if _, err := fetchOnce(t, nil, server.URL+"/keys"); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("got %v, want a refusal of the certificate", err)
		}
	})
	t.Run("http on this machine", func(t *testing.T) {
		if _, err := fetchOnce(t, nil, plain.URL); err != nil {
			t.Error(err)
		}
	})
	t.Run("a caller's own redirect policy is replaced", func(t *testing.T) {
		own := *client
		own.Jar, _ = cookiejar.New(nil)
		if newFetcher(&own, server.URL).client.Jar != nil {
			t.Error("cookies are kept")
		}
		own.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
		if _, err := fetchOnce(t, &own, server.URL+"/elsewhere"); err == nil {
			t.Error("the redirect was followed")
		}
	})
}

func TestRedirectsAllowed(t *testing.T) {
	for to, want := range map[string]bool{
		"https://idp.example/keys/v2":   true,
		"https://IDP.example/keys":      true,
		"http://idp.example/keys":       false,
		"https://idp.example:8443/keys": false,
		"https://keys.idp.example/keys": false,
	} {
		from, next := httptest.NewRequest(http.MethodGet, providerURL, http.NoBody), httptest.NewRequest(http.MethodGet, to, http.NoBody)
		if got := checkRedirect(next, []*http.Request{from}) == nil; got != want {
			t.Errorf("to %s: allowed %v, want %v", to, got, want)
		}
	}
}

func TestRedirectsAreBounded(t *testing.T) {
	request := httptest.NewRequest(http.MethodGet, providerURL, http.NoBody)
	via := []*http.Request{request, request, request, request}
	if err := checkRedirect(request, via[:maxRedirects]); err != nil {
		t.Errorf("redirect %d: %v", maxRedirects, err)
	}
	if err := checkRedirect(request, via); err == nil {
		t.Errorf("redirect %d is followed", maxRedirects+1)
	}
}

func TestFetchOfNoURL(t *testing.T) {
	if _, err := newFetcher(nil, "").get(t.Context(), "ftp://idp.example"); err == nil || !strings.Contains(err.Error(), "https") {
		t.Errorf("got %v", err)
	}
}

func TestVerifyOverTLS(t *testing.T) {
	k := testKeys()
	mux := http.NewServeMux()
	server := httptest.NewTLSServer(mux)
	defer server.Close()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, server.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, keySetOf(jwkOf(t, "a", k.ed))) })
	s := newSchemeOf(t, Config{Issuers: []IssuerConfig{{Name: "idp", Discovery: server.URL}}, HTTPClient: server.Client()})
	s.verifier.Start(t.Context())
	defer s.verifier.Close()
	token := signRaw(t, jwt.SigningMethodEdDSA, k.ed, `{"alg":"EdDSA","kid":"a"}`, mustJSON(t, map[string]any{
		"iss": server.URL, "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(),
	}))
	expect(t, s, token, "ok")
}

func TestDialGuard(t *testing.T) {
	for _, tc := range []struct {
		address      string
		loopbackOnly bool
		want         bool
	}{
		{"93.184.216.34:443", false, true},
		{"10.1.2.3:443", false, true},
		{"127.0.0.1:443", false, true},
		{"[::1]:443", false, true},
		{"169.254.169.254:443", false, false},
		{"[fe80::1%eth0]:443", false, false},
		{"[::ffff:169.254.169.254]:443", false, false},
		{"0.0.0.0:443", false, false},
		{"[::]:443", false, false},
		{"224.0.0.1:443", false, false},
		{"[ff02::1]:443", false, false},
		{"no address", false, false},
		{"127.0.0.1:80", true, true},
		{"[::1]:80", true, true},
		{"10.1.2.3:80", true, false},
		{"93.184.216.34:80", true, false},
	} {
		if got := checkAddress(tc.address, tc.loopbackOnly) == nil; got != tc.want {
			t.Errorf("%s (loopback only: %v): allowed %v, want %v", tc.address, tc.loopbackOnly, got, tc.want)
		}
	}
	t.Run("in the dialer", func(t *testing.T) {
		_, err := newTransport(false).DialContext(t.Context(), "tcp", "169.254.169.254:443")
		if err == nil || !strings.Contains(err.Error(), "link-local") {
			t.Errorf("got %v, want a refusal before any packet", err)
		}
	})
}
