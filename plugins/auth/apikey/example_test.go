package apikey_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/auth/apikey"
)

// oneRecord is the smallest store: it knows one key.
type oneRecord plugins.APIKey

func (r oneRecord) KeyByHash(_ context.Context, hash []byte) (plugins.APIKey, error) {
	if !bytes.Equal(r.Hash, hash) {
		return plugins.APIKey{}, apikey.ErrUnknown
	}
	return plugins.APIKey(r), nil
}

func Example() {
	peppers, err := apikey.NewPeppers(apikey.Pepper{Version: 1, Secret: plugins.NewSecret("from the environment")}, apikey.Pepper{})
	if err != nil {
		panic(err)
	}
	key, err := apikey.Generate(true, nil)
	if err != nil {
		panic(err)
	}
	hash := peppers.Sum(key.Reveal())
	scheme, err := apikey.New(apikey.Config{
		Lookup:      oneRecord{ID: "1", Owner: "u1", Hash: hash[:], PepperVersion: 1},
		Peppers:     peppers,
		DefaultRole: "USER",
	})
	if err != nil {
		panic(err)
	}

	principal, _, _ := scheme.Authenticate(context.Background(), auth.Credential{Source: auth.FromKeyHeader, Value: key.Reveal()})
	fmt.Println(principal.Owner, principal.Roles)

	_, denial, _ := scheme.Authenticate(context.Background(), auth.Credential{Source: auth.FromKeyHeader, Value: "sk_live_abc123..."})
	fmt.Println(denial.Status, denial.Detail, denial.Reason)
	// Output:
	// u1 [USER]
	// 401 Invalid API key key_malformed
}
