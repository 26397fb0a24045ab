package request

import (
	"net/http"
	"slices"
	"strings"

	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/decision"
)

// headerNames are the sorted names of the client's headers, without those that the gateway
// adds. They include the header of the credential, which the gateway has removed.
func headerNames(h http.Header, credentialIn string) string {
	names := make([]string, 0, len(h)+1)
	for name := range h {
		if !auth.IsIdentity(name) && name != credentialIn {
			names = append(names, name)
		}
	}
	if credentialIn != "" {
		names = append(names, credentialIn)
	}
	slices.Sort(names)
	return decision.Names(strings.Join(names, ", "))
}
