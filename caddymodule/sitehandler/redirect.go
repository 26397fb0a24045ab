package sitehandler

import (
	"net/http"

	"github.com/ainative/portcullis/plugins/edge"
)

// KeepHost keeps a redirect of the upstream on the host that the client asked, where it
// only adds a slash to the path or takes it away.
func KeepHost(r *http.Request, h http.Header) {
	location, asked := h["Location"], originalURL(r)
	if len(location) != 1 || asked == nil {
		return
	}
	if to, ok := edge.SlashRedirect(asked, r.URL, location[0]); ok {
		h["Location"] = []string{to}
	}
}
