package bearer

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
)

var update = flag.Bool("update", false, "write the outcomes of the corpus anew")

// tokenCase is a line of testdata/jwt_cases.jsonl: tokens of Wycheproof, of the
// RFCs, of CVEs and of the test suites of other gateways and libraries, each
// with its source. Keys in OpenSSH form were turned into PEM.
type tokenCase struct {
	ID          string          `json:"id"`
	Description string          `json:"description"`
	Alg         string          `json:"alg"`
	Token       string          `json:"token"`
	Key         json.RawMessage `json:"key"`
	KeyType     string          `json:"key_type"`
	// Gateway is what a gateway should do: reject, accept, policy (either, by a
	// written rule) or skip (the vector is faulty).
	Gateway string `json:"gateway"`
	// Verify is whether the signature is good and by an acceptable key.
	Verify bool `json:"verify"`
	// Disputed says why the vector's own verdict doesn't count.
	Disputed string `json:"disputed"`
}

func readCases(t testing.TB) []tokenCase {
	t.Helper()
	file, err := os.Open("testdata/jwt_cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var cases []tokenCase
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c tokenCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("line %d: %v", len(cases)+1, err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return cases
}

// caseClock is the time that the corpus names; one case has its exp right there.
func caseClock() time.Time { return time.Unix(1795305600, 0) }

// issuerFor configures an issuer as an operator with this key would: the key's
// own algorithm where it declares one, else the token's if the key can do it.
func (c *tokenCase) issuerFor(t testing.TB) IssuerConfig {
	t.Helper()
	cfg := IssuerConfig{Name: "case", Leeway: ptr(time.Duration(0)), MaxLifetime: 290 * 365 * 24 * time.Hour}
	var text string
	if c.KeyType != "jwk" && c.KeyType != "jwks" {
		if err := json.Unmarshal(c.Key, &text); err != nil {
			t.Fatal(err)
		}
	}
	setSecret := func(secret []byte, declared string) {
		cfg.Secret = plugins.NewSecret(string(secret))
		for _, name := range []string{declared, c.Alg} {
			if a := algorithms[name]; a != nil && a.family == familyHMAC {
				cfg.Algorithms = []string{name}
				break
			}
		}
	}
	switch c.KeyType {
	case "secret-utf8":
		setSecret([]byte(text), "")
	case "secret-hex":
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		setSecret(b, "")
	case "secret-b64":
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		setSecret(b, "")
	case "pem":
		cfg.PublicKey = []byte(text)
		block, _ := pem.Decode(cfg.PublicKey)
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		fitting, _ := publicFamily(key)
		if slices.Contains(fitting, c.Alg) {
			cfg.Algorithms = []string{c.Alg}
		}
	case "jwk":
		var k struct{ Kty, K, Alg string }
		if err := json.Unmarshal(c.Key, &k); err != nil {
			t.Fatal(err)
		}
		if k.Kty == "oct" {
			b, err := base64.RawURLEncoding.DecodeString(k.K)
			if err != nil {
				t.Fatal(err)
			}
			setSecret(b, k.Alg)
			return cfg
		}
		cfg.JWKS = "https://case.example/jwks"
	case "jwks":
		cfg.JWKS = "https://case.example/jwks"
	default:
		t.Fatalf("unknown key type %s", c.KeyType)
	}
	return cfg
}

// judge runs the case with the configuration of issuerFor.
func (c *tokenCase) judge(t testing.TB) string {
	t.Helper()
	v, err := New(Config{Issuers: []IssuerConfig{c.issuerFor(t)}, Clock: caseClock, CacheEntries: -1})
	if err != nil {
		return "configuration refused"
	}
	s, err := v.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	if source, ok := v.issuers[0].source.(*jwks); ok {
		document := string(c.Key)
		if c.KeyType == "jwk" {
			document = `{"keys":[` + document + `]}`
		}
		read, err := readJWKS([]byte(document), nil)
		if err != nil {
			return "key set refused"
		}
		source.install(read, caseClock())
		source.closed = true // nobody is there to be asked
	}
	return outcome(t, s, c.Token)
}

// judgeWithAnyKey runs the case as if every key were strong enough and came from
// the configuration, so that the token itself is judged too.
func (c *tokenCase) judgeWithAnyKey(t testing.TB) string {
	t.Helper()
	cfg := c.issuerFor(t)
	var keys []*verifyKey
	add := func(id string, material any, names ...string) {
		k := &verifyKey{id: id, material: material}
		for _, name := range names {
			k.algorithms = append(k.algorithms, algorithms[name])
		}
		keys = append(keys, k)
	}
	switch {
	case !cfg.Secret.Empty():
		add("", []byte(cfg.Secret.Reveal()), append(cfg.Algorithms, "HS256")[0])
	case c.KeyType == "pem":
		block, _ := pem.Decode(cfg.PublicKey)
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		switch key := key.(type) {
		case *rsa.PublicKey:
			add("", key, append(cfg.Algorithms, "RS256")[0])
		case *ecdsa.PublicKey, ed25519.PublicKey:
			fitting, _ := publicFamily(key)
			add("", key, fitting...)
		}
	default:
		var set struct {
			Keys []struct{ Kty, K, Kid, Alg string }
		}
		if err := json.Unmarshal(c.Key, &set); err != nil {
			t.Fatal(err)
		}
		for _, k := range set.Keys {
			if b, err := base64.RawURLEncoding.DecodeString(k.K); err == nil && k.Kty == "oct" && algorithms[k.Alg] != nil {
				add(k.Kid, b, k.Alg)
			}
		}
	}
	weak := secretIssuer()
	weak.Leeway, weak.MaxLifetime = cfg.Leeway, cfg.MaxLifetime
	v, err := New(Config{Issuers: []IssuerConfig{weak}, Clock: caseClock, CacheEntries: -1})
	if err != nil {
		t.Fatal(err)
	}
	v.issuers[0].algorithms = nil
	for _, k := range keys {
		for _, a := range k.algorithms {
			v.issuers[0].algorithms = append(v.issuers[0].algorithms, a.name)
		}
	}
	v.issuers[0].source = fixedKeys{set: &keySet{keys: keys, named: true}}
	s, err := v.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	return outcome(t, s, c.Token)
}

// ownRules are the cases that the corpus would let pass and that one of our
// written rules stops before the token is looked at. Judged with any key, they
// still have to be accepted.
var ownRules = map[string]string{
	"apisix-hs256-valid-2029": "the secret has 13 bytes, HS256 needs 32",
	"apisix-hs384-valid-2029": "the secret has 13 bytes, HS384 needs 48",
	"krakend-jwt_3":           "a symmetric key in a JWKS is not a secret",
}

// noExpiry are `policy` cases with a good signature and no exp. Ours is to
// require one. The three PSS ones are refused earlier, for their salt.
const noExpiry = "token_claim_missing"

// TestCorpus judges every case by its `gateway` field, and holds the reason of
// each against testdata/jwt_outcomes.txt, so that a case can't start to be
// refused for another reason unseen.
func TestCorpus(t *testing.T) {
	var got strings.Builder
	cases := readCases(t)
	if len(cases) != 339 {
		t.Fatalf("the corpus has %d cases, want 339", len(cases))
	}
	for _, c := range cases {
		result := c.judge(t)
		fmt.Fprintf(&got, "%s\t%s", c.ID, result)
		final := result
		if strings.HasSuffix(result, "refused") && !strings.HasPrefix(result, "token_") && !hasJWKSPublicKey(c) {
			final = c.judgeWithAnyKey(t)
			fmt.Fprintf(&got, "; with any key: %s", final)
		}
		got.WriteByte('\n')

		switch c.Gateway {
		case "reject":
			if final == "ok" || result == "ok" {
				t.Errorf("%s (%s): accepted, want a refusal", c.ID, c.Description)
			}
		case "accept":
			if final != "ok" {
				t.Errorf("%s (%s): %s, want accepted", c.ID, c.Description, final)
			}
			if _, own := ownRules[c.ID]; own == (result == "ok") {
				t.Errorf("%s: %s, but ownRules says otherwise", c.ID, result)
			}
		case "policy":
			if final == "ok" && c.ID != "krakend-jwt_1" {
				t.Errorf("%s (%s): accepted; ours is to refuse it", c.ID, c.Description)
			}
			if strings.HasPrefix(final, "token_claim_missing") && final != noExpiry {
				t.Errorf("%s: %s", c.ID, final)
			}
		case "skip":
		default:
			t.Errorf("%s: unknown gateway field %q", c.ID, c.Gateway)
		}
	}

	const golden = "testdata/jwt_outcomes.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wantLines := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got.String(), "\n") {
		if i >= len(wantLines) || line != wantLines[i] {
			t.Errorf("outcome differs from %s:%d\n got %s", golden, i+1, line)
		}
	}
}

// hasJWKSPublicKey reports a JWK case whose key was refused for what it is: there
// is nothing to judge the token with.
func hasJWKSPublicKey(c tokenCase) bool {
	return strings.HasPrefix(c.KeyType, "jwk") && !strings.Contains(string(c.Key), `"oct"`)
}

// goodButRefused are signatures that hold and that we refuse all the same.
var goodButRefused = map[string]string{
	"wycheproof-jws-264": "an empty payload has no claims",
	"wycheproof-jws-268": "an empty payload has no claims",
	"wycheproof-jws-272": "an empty payload has no claims",
	"wycheproof-jws-320": "an empty payload has no claims",
	"wycheproof-jws-346": "the token is PS384 and the key declares PS256",
	"wycheproof-jws-350": "the token is PS384 and the key declares PS256",
}

// TestCorpusSignatures judges form, header and signature without the payload:
// most Wycheproof payloads are no claims, which would hide what was wrong with
// the signature.
func TestCorpusSignatures(t *testing.T) {
	checked := 0
	for _, c := range readCases(t) {
		if c.Disputed != "" || strings.HasPrefix(c.ID, "krakend") {
			continue
		}
		v, err := New(Config{Issuers: []IssuerConfig{c.issuerFor(t)}, Clock: caseClock})
		if err != nil {
			continue // judged by TestCorpus with any key
		}
		is := v.issuers[0]
		if source, ok := is.source.(*jwks); ok {
			document := string(c.Key)
			if c.KeyType == "jwk" {
				document = `{"keys":[` + document + `]}`
			}
			read, err := readJWKS([]byte(document), nil)
			if err != nil {
				if c.Verify && !strings.Contains(string(c.Key), `"oct"`) {
					t.Errorf("%s: key set refused: %v", c.ID, err)
				}
				continue
			}
			source.install(read, caseClock())
			source.closed = true
		}
		checked++
		parsed, _, denial := dissect(c.Token)
		if denial == nil {
			denial = is.checkAlgorithm(parsed.header.alg)
		}
		if denial == nil {
			_, _, denial, err = is.checkSignature(t.Context(), parsed, caseClock())
			if errors.Is(err, errNotAsked) {
				denial = auth.DenyToken(plugins.ReasonTokenKeyUnknown, "", "")
			} else if err != nil {
				t.Errorf("%s: %v", c.ID, err)
			}
		}
		_, refused := goodButRefused[c.ID]
		if got := denial == nil; got != (c.Verify && !refused) {
			t.Errorf("%s (%s): signature holds: %v, want %v (%+v)", c.ID, c.Description, got, c.Verify, denial)
		}
	}
	if checked < 270 {
		t.Errorf("only %d cases were checked", checked)
	}
}

// TestCorpusByFlippingBytes changes each accepted token, one byte at a time.
// Nothing but the same bytes decoded may pass.
func TestCorpusByFlippingBytes(t *testing.T) {
	for _, c := range readCases(t) {
		if c.Gateway != "accept" || c.judge(t) != "ok" || strings.HasPrefix(c.Alg, "PS") {
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			for i := 0; i < len(c.Token); i += 7 {
				bad := []byte(c.Token)
				bad[i] ^= 1
				changed := c
				changed.Token = string(bad)
				if got := changed.judge(t); got == "ok" {
					t.Errorf("byte %d changed from %q to %q: accepted", i, c.Token[i], bad[i])
				}
			}
		})
	}
}
