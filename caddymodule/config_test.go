package caddymodule_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

var update = flag.Bool("update", false, "write the adapted JSON of testdata/adapt anew")

// cases reads the files of a directory: a Caddyfile, a line of dashes, and what
// is expected of it.
func cases(t *testing.T, dir string, run func(t *testing.T, file, caddyfile, want string)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.caddyfiletest"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in testdata/%s: %v", dir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			config, want, ok := strings.Cut(string(text), "----------\n")
			if !ok {
				t.Fatal("no line of dashes")
			}
			run(t, file, config, want)
		})
	}
}

// Each file has one mistake. It must be refused when adapted, or, where the
// mistake is in a value that is not known before, when provisioned.
func TestBadConfigs(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	cases(t, "bad", func(t *testing.T, _, config, want string) {
		lines := strings.Split(strings.TrimSpace(want), "\n")
		adapted, err := caddyharness.Adapt(config)
		if lines[0] == "provision" {
			if err != nil {
				t.Fatalf("adapting: %v", err)
			}
			err = validate(adapted)
		}
		if err == nil {
			t.Fatal("the mistake was not found")
		}
		for _, line := range lines[1:] {
			if !strings.Contains(err.Error(), line) {
				t.Errorf("got %q\nwant it to contain %q", err, line)
			}
		}
		if lines[0] == "adapt" && !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("got %q, which names no file and line", err)
		}
	})
}

// validate provisions a configuration and cleans it up, as `caddy validate` does.
func validate(config []byte) error {
	var parsed caddy.Config
	if err := json.Unmarshal(config, &parsed); err != nil {
		return err
	}
	parsed.Admin = &caddy.AdminConfig{Disabled: true}
	return caddy.Validate(&parsed)
}

func TestAdapt(t *testing.T) {
	cases(t, "adapt", func(t *testing.T, file, config, want string) {
		adapted, err := caddyharness.Adapt(config)
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := json.Unmarshal(adapted, &value); err != nil {
			t.Fatal(err)
		}
		got, err := json.MarshalIndent(value, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(file, []byte(config+"----------\n"+string(got)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		if string(got) != strings.TrimSpace(want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// Validating opens no file: `caddy validate` on another machine must leave
// nothing behind.
func TestValidateOpensNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", dir)
	config, err := caddyharness.Adapt("http://localhost:8080 {\n gateway_errors\n gateway_auth\n gateway_limit\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(config); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "caddy", "portcullis")); !os.IsNotExist(err) {
		t.Errorf("validating made the store's directory: %v", err)
	}
}
