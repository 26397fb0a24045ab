// Package secret resolves the secrets of a configuration at provision, and not before.
package secret

import (
	"fmt"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/plugins"
)

// Resolve resolves a configured secret: the text itself, {env.X} or {file./abs/path}. It is
// called at provision, never when a Caddyfile is adapted, so that the value is in no
// adapted config, autosave or admin answer. An unset variable, a missing file and an empty
// value are errors: anybody could guess an empty key. what names the secret in the
// message.
func Resolve(what, configured string) (plugins.Secret, error) {
	if configured == "" {
		return plugins.Secret{}, fmt.Errorf("%s is empty: write the value, {env.NAME} or {file./absolute/path}", what)
	}
	value, err := caddy.NewReplacer().ReplaceOrErr(configured, true, true)
	if err != nil || value == "" {
		return plugins.Secret{}, fmt.Errorf("%s: %s is empty or not set: %s", what, source(configured), remedy(configured))
	}
	return plugins.NewSecret(value), nil
}

// ResolvePEM resolves a key in PEM, or the path of a file with one.
func ResolvePEM(what, configured string) (plugins.Secret, error) {
	key, err := Resolve(what, configured)
	if err != nil || strings.Contains(key.Reveal(), "-----BEGIN") {
		return key, err
	}
	text, err := os.ReadFile(key.Reveal())
	if err != nil {
		return plugins.Secret{}, fmt.Errorf("%s: %w: write the PEM itself, or the path of a file that the process can read", what, err)
	}
	return plugins.NewSecret(string(text)), nil
}

// source is the placeholder of a secret, or `the value` for a literal one, which must not
// be printed.
func source(configured string) string {
	if start := strings.IndexByte(configured, '{'); start >= 0 {
		if end := strings.IndexByte(configured[start:], '}'); end > 0 {
			return configured[start : start+end+1]
		}
	}
	return "the value"
}

// remedy says how to give a placeholder its value.
func remedy(configured string) string {
	placeholder := source(configured)
	switch name, isEnv := strings.CutPrefix(placeholder, "{env."); {
	case isEnv:
		return "set the environment variable " + strings.TrimSuffix(name, "}") + " for the process, for instance by `export` or systemd's EnvironmentFile"
	case strings.HasPrefix(placeholder, "{file."):
		return "write the file, readable by the process, with an absolute path in the placeholder"
	}
	return "use {env.NAME} or {file./absolute/path}"
}
