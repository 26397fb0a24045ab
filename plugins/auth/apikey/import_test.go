package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

func TestParseImport(t *testing.T) {
	peppers := testPeppers(t)
	ours := mustGenerate(t, true)
	digest := sha256.Sum256([]byte("forgotten-by-all-of-us"))
	under := func(key string) []byte {
		h := peppers.Sum(key)
		return h[:]
	}
	created := testNow.Truncate(time.Second)
	cases := []struct {
		name, csv string
		want      []plugins.APIKey
	}{
		{
			name: "all columns",
			csv: "key,owner,name,role,tier,scopes,ip_allow,expires_at\n" +
				"legacy-key-0123456789,u1,\"Old, but good\",DEVELOPER,pro,\"read, write;admin x\",10.0.0.0/8 ::1,2027-01-31T12:00:00+02:00\n",
			want: []plugins.APIKey{{
				Owner: "u1", Name: "Old, but good", Hash: under("legacy-key-0123456789"), PepperVersion: 2, Role: "DEVELOPER", Tier: "pro",
				Scopes: []string{"read", "write", "admin", "x"}, IPAllow: []string{"10.0.0.0/8", "::1"}, CreatedAt: created,
				ExpiresAt: time.Date(2027, 1, 31, 10, 0, 0, 0, time.UTC),
			}},
		},
		{
			name: "least, in another order, from a spreadsheet",
			csv:  "\ufeffOwner, KEY \r\n u1 , legacy-key-0123456789 \r\n",
			want: []plugins.APIKey{{Owner: "u1", Hash: under("legacy-key-0123456789"), PepperVersion: 2, CreatedAt: created}},
		},
		{
			name: "a key of ours",
			csv:  "key,owner\n" + ours + ",u1\n",
			want: []plugins.APIKey{{Owner: "u1", Prefix: ours[:12], Hash: under(ours), PepperVersion: 2, CreatedAt: created}},
		},
		{
			name: "keys and hashes",
			csv:  "key,hash,owner,expires_at\n," + strings.ToUpper(hex.EncodeToString(digest[:])) + ",u1,2027-01-31\nlegacy-key-0123456789,,u2,\n",
			want: []plugins.APIKey{
				{Owner: "u1", Hash: digest[:], PepperVersion: Unpeppered, CreatedAt: created, ExpiresAt: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)},
				{Owner: "u2", Hash: under("legacy-key-0123456789"), PepperVersion: 2, CreatedAt: created},
			},
		},
		{name: "header only", csv: "key,owner\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseImport(strings.NewReader(c.csv), peppers, testNow.Add(300*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if got[i].ID == "" {
					t.Errorf("record %d has no id", i)
				}
				got[i].ID = ""
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("records:\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// The bounds are what may still be.
func TestParseImportBounds(t *testing.T) {
	shortest, longest, edge := strings.Repeat("k", MinForeign), strings.Repeat("l", MaxLength), strings.Repeat("!~", 10)
	csv := "key,owner,name\n"
	for _, key := range []string{shortest, longest, edge} {
		csv += key + "," + strings.Repeat("u", maxField) + ",\n"
	}
	if keys, err := ParseImport(strings.NewReader(csv), testPeppers(t), testNow); err != nil || len(keys) != 3 {
		t.Errorf("got %d keys, %v, want 3", len(keys), err)
	}
}

// What was imported works.
func TestImportedKeysAuthenticate(t *testing.T) {
	f := newFixture(t, func(config *Config) { config.Foreign = true })
	digest := sha256.Sum256([]byte("forgotten-by-all-of-us"))
	keys, err := ParseImport(strings.NewReader("key,hash,owner\nlegacy-key-0123456789,,u1\n,"+hex.EncodeToString(digest[:])+",u2\n"), f.peppers, testNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		f.store.put(key)
	}
	if got := f.wantGood(t, "legacy-key-0123456789").Owner; got != "u1" {
		t.Errorf("owner = %q", got)
	}
	if got := f.wantGood(t, "forgotten-by-all-of-us").Owner; got != "u2" {
		t.Errorf("owner = %q", got)
	}
	// The stored digest itself opens nothing.
	f.wantDenied(t, hex.EncodeToString(digest[:]), plugins.ReasonKeyUnknown)
}

func TestParseImportRefuses(t *testing.T) {
	const secret = "legacy-key-0123456789"
	sum := sha256.Sum256([]byte(secret))
	cases := []struct {
		name, csv string
		want      []string
	}{
		{"empty file", "", []string{"first line must name the columns"}},
		{"unknown column", "key,owner,password\n", []string{"line 1: column 3 has an unknown name; known are key, hash"}},
		{"no header", secret + ",u1\n", []string{"line 1: column 1 has an unknown name"}},
		{"column twice", "key,owner,Key\n", []string{`line 1: column "key" comes twice`}},
		{"no owner column", "key,name\n", []string{"line 1: the columns owner, and key or hash, must be there"}},
		{"no key column", "owner,name\n", []string{"line 1: the columns owner, and key or hash, must be there"}},
		{"no owner", "key,owner\n" + secret + ", \n", []string{"line 2: there is no owner"}},
		{"no key", "key,owner\n,u1\n", []string{"line 2: there is neither a key nor a hash"}},
		{"both", "key,hash,owner\n" + secret + "," + hex.EncodeToString(sum[:]) + ",u1\n", []string{"line 2: there is a key and a hash"}},
		{"short key", "key,owner\nsecret-15-bytes,u1\n", []string{"line 2: the key has 15 bytes, not 16 to 256"}},
		{"long key", "key,owner\n" + strings.Repeat("x", 257) + ",u1\n", []string{"line 2: the key has 257 bytes"}},
		{"key with a space", "key,owner\nlegacy key 0123456789,u1\n", []string{"line 2: the key has a character"}},
		{"key with a letter of elsewhere", "key,owner\nlegacy-kéy-0123456789,u1\n", []string{"line 2: the key has a character"}},
		{"key with DEL", "key,owner\nlegacy-key-0123456789\x7f,u1\n", []string{"line 2: the key has a character"}},
		{"short hash", "hash,owner\nabcd,u1\n", []string{"line 2: the hash is not SHA-256 in hexadecimal, 64 digits"}},
		{"a digit too many", "hash,owner\n" + hex.EncodeToString(sum[:]) + "0,u1\n", []string{"line 2: the hash is not SHA-256 in hexadecimal, 64 digits"}},
		{"hash in base64", "hash,owner\n" + strings.Repeat("+", 64) + ",u1\n", []string{"line 2: the hash is not SHA-256"}},
		{"control character", "key,owner\n" + secret + ",u\x01\n", []string{"line 2: the owner has control characters"}},
		{"not UTF-8", "key,owner,name\n" + secret + ",u1,\xff\n", []string{"line 2: the name has control characters or is not UTF-8"}},
		{"long owner", "key,owner\n" + secret + "," + strings.Repeat("u", 257) + "\n", []string{"line 2: the owner has 257 bytes"}},
		{"bad address", "key,owner,ip_allow\n" + secret + ",u1,10.0.0.0/33\n", []string{`line 2: reading the allowed address "10.0.0.0/33"`}},
		{"mapped address that covers more", "key,owner,ip_allow\n" + secret + ",u1,::ffff:0:0/90\n", []string{`line 2: reading the allowed address "::ffff:0:0/90"`}},
		{"bad end", "key,owner,expires_at\n" + secret + ",u1,90d\n", []string{"line 2: expires_at is neither RFC 3339"}},
		{"same key twice", "key,owner\n" + secret + ",u1\nlegacy-key-other-0123,u1\n" + secret + ",u2\n", []string{"line 4: the same key as on line 2"}},
		{"key and its hash", "key,hash,owner\n" + secret + ",,u1\n," + hex.EncodeToString(sum[:]) + ",u2\n", []string{"line 3: the same key as on line 2"}},
		{"too few fields", "key,owner,name\n" + secret + ",u1\n", []string{"line 2", "wrong number of fields"}},
		{"quote left open", "key,owner\n\"" + secret + ",u1\n", []string{"line 2"}},
		{"several faults", "key,owner\n,u1\n" + secret + ",\n\"multi\nline\",u\n", []string{"line 2: there is neither", "line 3: there is no owner", "line 4: the key has 10 bytes"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			keys, err := ParseImport(strings.NewReader(c.csv), testPeppers(t), testNow)
			if err == nil || keys != nil {
				t.Fatalf("got %d records, %v; want a refusal", len(keys), err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("err = %v\nwant %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "secret-15") {
				t.Errorf("the error tells a key: %v", err)
			}
		})
	}
}

func TestParseImportIsBounded(t *testing.T) {
	// A million faulty lines are not a million errors.
	_, err := ParseImport(io.MultiReader(strings.NewReader("key,owner\n"), strings.NewReader(strings.Repeat(",u1\n", 1000))), testPeppers(t), testNow)
	if err == nil || strings.Count(err.Error(), "\n") != maxImportErrors-1 {
		t.Errorf("err = %v, want %d lines of it", err, maxImportErrors)
	}
	var csv strings.Builder
	csv.WriteString("key,owner\n")
	for i := range MaxImport + 1 {
		fmt.Fprintf(&csv, "legacy-key-%09d,u1\n", i)
	}
	_, err = ParseImport(strings.NewReader(csv.String()), testPeppers(t), testNow)
	if err == nil || !strings.Contains(err.Error(), "line 100002: more than 100000 keys") {
		t.Errorf("err = %v, want a refusal", err)
	}
	broken := errors.New("broken")
	if _, err := ParseImport(errReader{broken}, testPeppers(t), testNow); !errors.Is(err, broken) {
		t.Errorf("err = %v, want %v", err, broken)
	}
	if _, err := ParseImport(io.MultiReader(strings.NewReader("key,owner\n"), errReader{broken}), testPeppers(t), testNow); !errors.Is(err, broken) {
		t.Errorf("err = %v, want %v", err, broken)
	}
}

func FuzzParseImport(f *testing.F) {
	f.Add("key,owner\nlegacy-key-0123456789,u1\n")
	f.Add("hash,owner,scopes,ip_allow,expires_at\n" + strings.Repeat("ab", 32) + ",u1,a b,10.0.0.1,2027-01-31\n")
	f.Add("\ufeffkey,owner\r\n\"quoted \"\"key\"\" 123456\",u1\r\n")
	f.Add("key,owner\n\"open")
	f.Add("owner\n")
	f.Add("key,owner\n\n\n,,\n")
	f.Fuzz(func(t *testing.T, csv string) {
		keys, err := ParseImport(strings.NewReader(csv), testPeppers(t), testNow)
		if err != nil && keys != nil {
			t.Fatal("records came with an error")
		}
		for _, key := range keys {
			if key.ID == "" || key.Owner == "" || len(key.Hash) != HashSize || key.CreatedAt.IsZero() {
				t.Fatalf("incomplete record %+v", key)
			}
			if _, err := ParseIPAllow(key.IPAllow); err != nil {
				t.Fatalf("record with a bad list: %v", err)
			}
		}
	})
}
