package adminapi

import (
	"runtime/debug"
	"strings"
)

// Versions names what this program is built of: Caddy and the gateway, with their
// versions as far as the build knows them.
func Versions() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	versions := []string{build.GoVersion}
	for _, module := range append(build.Deps, &build.Main) {
		switch module.Path {
		case "github.com/caddyserver/caddy/v2":
			versions = append(versions, "caddy "+module.Version)
		case "github.com/ainative/portcullis":
			versions = append(versions, "portcullis "+module.Version)
		}
	}
	return strings.Join(versions, ", ")
}
