package adminapi

import "runtime/debug"

// Versions names what this program is built of: Caddy and the gateway, with their
// versions as far as the build knows them.
func Versions() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := build.GoVersion
	for _, module := range append(build.Deps, &build.Main) {
		switch module.Path {
		case "github.com/caddyserver/caddy/v2":
			text += ", caddy " + module.Version
		case "github.com/ainative/portcullis":
			text += ", portcullis " + module.Version
		}
	}
	return text
}
