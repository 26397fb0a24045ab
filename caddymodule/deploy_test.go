package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// seriesOf are the names of our metrics in an expression, without what a
// histogram adds.
func seriesOf(text string) []string {
	var out []string
	for _, name := range regexp.MustCompile(`caddy_gateway_[a-z_]+`).FindAllString(text, -1) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && strings.HasSuffix(base, "_seconds") {
				name = base
			}
		}
		out = append(out, name)
	}
	return out
}

// rules is a file of Prometheus' rules, as far as the test looks.
type rules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

func TestAlertRules(t *testing.T) {
	const file = "../deploy/prometheus/portcullis.rules.yml"
	var parsed rules
	decoder := yaml.NewDecoder(strings.NewReader(read(t, file)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&parsed); err != nil {
		t.Fatal(err)
	}
	known := metricNames(t)
	alerts := 0
	for _, group := range parsed.Groups {
		for _, rule := range group.Rules {
			alerts++
			if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || len(rule.Annotations["runbook"]) < 80 {
				t.Errorf("%s lacks a severity, a summary or what to do", rule.Alert)
			}
			names := seriesOf(rule.Expr)
			if len(names) == 0 {
				t.Errorf("%s asks for none of our metrics", rule.Alert)
			}
			for _, name := range names {
				if !slices.Contains(known, name) {
					t.Errorf("%s asks for %s, which is no metric", rule.Alert, name)
				}
			}
		}
	}
	if alerts < 10 {
		t.Errorf("found %d alerts", alerts)
	}
	// Prometheus' own checker, where there is one; without it the names above stand.
	if promtool, err := exec.LookPath("promtool"); err == nil {
		if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput(); err != nil {
			t.Errorf("promtool: %v\n%s", err, out)
		}
	}
}

func TestDashboard(t *testing.T) {
	var dashboard struct {
		Title, UID string
		Panels     []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct{ Expr, LegendFormat string }
		}
	}
	text := read(t, "../deploy/grafana/portcullis.json")
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	known, shown, ids := metricNames(t), seriesOf(text), map[int]bool{}
	for _, name := range shown {
		if !slices.Contains(known, name) {
			t.Errorf("the dashboard asks for %s, which is no metric", name)
		}
	}
	for _, name := range known {
		if !slices.Contains(shown, name) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
	for _, p := range dashboard.Panels {
		if p.Title == "" || ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 || (p.Type != "row" && len(p.Targets) == 0) {
			t.Errorf("panel %d %q: without title or query, with an id that is taken, or too wide", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			if strings.Count(target.Expr, "(") != strings.Count(target.Expr, ")") || !strings.Contains(target.Expr, `{instance=~"$instance"`) {
				t.Errorf("panel %q: %s has a parenthesis too many or looks at all nodes", p.Title, target.Expr)
			}
		}
	}
	if len(dashboard.Panels) < 15 {
		t.Errorf("found %d panels", len(dashboard.Panels))
	}
}

// object is a Kubernetes object.
type object map[string]any

// at walks down maps and lists of one element; nil where there is nothing.
func (o object) at(path ...string) any {
	var value any = map[string]any(o)
	for _, name := range path {
		if list, ok := value.([]any); ok && len(list) == 1 {
			value = list[0]
		}
		m, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = m[name]
	}
	return value
}

func manifests(t *testing.T) map[string]object {
	t.Helper()
	files, err := filepath.Glob("../deploy/kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	found := map[string]object{}
	for _, file := range files {
		decoder := yaml.NewDecoder(strings.NewReader(read(t, file)))
		for {
			var m map[string]any
			err := decoder.Decode(&m)
			o := object(m)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			kind, _ := o["kind"].(string)
			if o["apiVersion"] == nil || kind == "" || o.at("metadata", "name") != "portcullis" || found[kind] != nil {
				t.Errorf("%s: a %q without apiVersion or of another name, or the second one", file, kind)
			}
			found[kind] = o
		}
	}
	return found
}

func TestKubernetes(t *testing.T) {
	all := manifests(t)
	for _, kind := range []string{"ConfigMap", "Deployment", "Service", "PodDisruptionBudget"} {
		if all[kind] == nil {
			t.Fatalf("no %s", kind)
		}
	}
	deployment := all["Deployment"]
	pod := object{"spec": deployment.at("spec", "template", "spec")}
	container := object{"c": pod.at("spec", "containers")}

	replicas, _ := deployment.at("spec", "replicas").(int)
	available, _ := all["PodDisruptionBudget"].at("spec", "minAvailable").(int)
	if replicas < 2 || available < 1 || available >= replicas {
		t.Errorf("%d replicas, of which %d must be there: nothing could ever be moved", replicas, available)
	}
	labels := func(o object, path ...string) any { return o.at(append(path, "app.kubernetes.io/name")...) }
	for what, label := range map[string]any{
		"Deployment": labels(deployment, "spec", "selector", "matchLabels"), "pods": labels(deployment, "spec", "template", "metadata", "labels"),
		"Service": labels(all["Service"], "spec", "selector"), "budget": labels(all["PodDisruptionBudget"], "spec", "selector", "matchLabels"),
	} {
		if label != "portcullis" {
			t.Errorf("the %s has the label %v", what, label)
		}
	}
	for what, got := range map[string]any{
		"runAsNonRoot":                  pod.at("spec", "securityContext", "runAsNonRoot"),
		"seccompProfile":                pod.at("spec", "securityContext", "seccompProfile", "type") == "RuntimeDefault",
		"readOnlyRootFilesystem":        container.at("c", "securityContext", "readOnlyRootFilesystem"),
		"no privilege escalation":       container.at("c", "securityContext", "allowPrivilegeEscalation") == false,
		"no service account token":      pod.at("spec", "automountServiceAccountToken") == false,
		"no capabilities":               equalLists(container.at("c", "securityContext", "capabilities", "drop"), []any{"ALL"}),
		"a memory limit":                container.at("c", "resources", "limits", "memory") != nil,
		"a pinned image":                pinned(container.at("c", "image")),
		"a readiness probe":             container.at("c", "readinessProbe", "httpGet", "path") == "/livez",
		"a liveness probe":              container.at("c", "livenessProbe", "httpGet", "path") == "/livez",
		"time to end in":                pod.at("spec", "terminationGracePeriodSeconds") == 40,
		"the port that the Service has": all["Service"].at("spec", "ports", "targetPort") == "http",
	} {
		if got != true {
			t.Errorf("not so: %s", what)
		}
	}
	// Secrets come by reference, and each that the Caddyfile asks for is there.
	caddyfile, _ := all["ConfigMap"].at("data", "Caddyfile").(string)
	env := map[string]bool{}
	for _, entry := range container.at("c", "env").([]any) {
		e := object(entry.(map[string]any))
		name := e["name"].(string)
		env[name] = true
		if name != "GOMEMLIMIT" && e.at("valueFrom", "secretKeyRef", "name") != "portcullis" {
			t.Errorf("%s is not from a Secret", name)
		}
	}
	for _, m := range regexp.MustCompile(`\{env\.([A-Z_]+)\}`).FindAllStringSubmatch(caddyfile, -1) {
		if !env[m[1]] {
			t.Errorf("the Caddyfile asks for %s, which the pod does not have", m[1])
		}
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("GATEWAY_PEPPER", testSecret)
	t.Setenv("REDIS_URL", "redis://:secret@redis:6379")
	t.Setenv("DATABASE_URL", "postgres://gateway:secret@db/gateway?sslmode=verify-full")
	config, err := caddyharness.Adapt(caddyfile)
	if err == nil {
		err = validate(config)
	}
	if err != nil {
		t.Errorf("the Caddyfile of the ConfigMap: %v", err)
	}
}

func equalLists(got any, want []any) bool {
	list, ok := got.([]any)
	return ok && slices.Equal(list, want)
}

// pinned reports whether an image has a tag that is not `latest`.
func pinned(image any) bool {
	text, _ := image.(string)
	_, tag, ok := strings.Cut(text[strings.LastIndex(text, "/")+1:], ":")
	return ok && tag != "" && tag != "latest"
}

// What hadolint would say of the most common mistakes.
func TestDockerfile(t *testing.T) {
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(read(t, "../deploy/Dockerfile"), "\\\n", " ")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	stages := map[string]bool{}
	var last []string
	for _, line := range lines {
		instruction, rest, _ := strings.Cut(line, " ")
		switch instruction {
		case "FROM":
			image, stage, named := strings.Cut(rest, " AS ")
			if !pinned(image) {
				t.Errorf("%s: the image is not pinned", line)
			}
			if named {
				stages[stage] = true
			}
			last = nil
		case "COPY":
			if m := regexp.MustCompile(`--from=(\S+)`).FindStringSubmatch(line); m != nil {
				if !stages[m[1]] {
					t.Errorf("%s: there is no stage %s", line, m[1])
				}
			} else {
				for _, source := range strings.Fields(rest)[:len(strings.Fields(rest))-1] {
					if _, err := os.Stat(filepath.Join("..", source)); err != nil {
						t.Errorf("%s: %v", line, err)
					}
				}
			}
		case "ENTRYPOINT", "CMD":
			var words []string
			if err := json.Unmarshal([]byte(rest), &words); err != nil {
				t.Errorf("%s: not in the form of a list, so that a shell would run it", line)
			}
		case "HEALTHCHECK":
			if !strings.Contains(rest, `CMD ["/usr/bin/caddy", "gateway", "health"]`) {
				t.Errorf("%s: the image has no shell", line)
			}
		case "ENV", "EXPOSE", "RUN", "USER", "WORKDIR":
		default:
			t.Errorf("%s: write another instruction", line)
		}
		last = append(last, line)
	}
	final := strings.Join(last, "\n")
	if len(stages) != 1 || !strings.Contains(final, "\nUSER 65532:65532\n") || strings.Contains(final, "\nRUN ") {
		t.Errorf("the image is not of one build stage and an end without root and shell:\n%s", final)
	}
	module := read(t, "../go.mod")
	if m := regexp.MustCompile(`golang:(\d+\.\d+)`).FindStringSubmatch(strings.Join(lines, "\n")); m == nil || !strings.Contains(module, "\ngo "+m[1]) {
		t.Errorf("the image builds with Go %v, which go.mod does not ask for", m)
	}
}

// The unit starts with flags that exist, as another user, and passes systemd's own
// checker where there is one.
func TestSystemdUnit(t *testing.T) {
	unit := read(t, "../deploy/portcullis.service")
	setting := func(name string) (values []string) {
		for _, m := range regexp.MustCompile(`(?m)^`+name+`=(.*)$`).FindAllStringSubmatch(unit, -1) {
			values = append(values, m[1])
		}
		return values
	}
	for name, want := range map[string]string{
		"Type": "notify", "User": "portcullis", "NoNewPrivileges": "true", "ProtectSystem": "strict", "StateDirectory": "portcullis", "UMask": "0077",
	} {
		if got := setting(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
	for _, name := range []string{"ExecStart", "ExecReload"} {
		line := setting(name)
		if len(line) != 1 {
			t.Fatalf("%s: %q", name, line)
		}
		words := strings.Fields(line[0])
		if words[0] != "/usr/bin/caddy" {
			t.Errorf("%s starts %s", name, words[0])
		}
		help, errOut, err := command(t, words[1], "--help")
		if err != nil {
			t.Fatalf("%v %s", err, errOut)
		}
		for _, word := range words[2:] {
			if strings.HasPrefix(word, "--") && !strings.Contains(help, word+" ") {
				t.Errorf("%s: `caddy %s` has no %s", name, words[1], word)
			}
			if word == "--environ" {
				t.Errorf("%s prints the environment, secrets and all", name)
			}
		}
	}
	if analyze, err := exec.LookPath("systemd-analyze"); err == nil {
		// The unit with a program that is there, since the checker looks for it.
		file := filepath.Join(t.TempDir(), "portcullis.service")
		text := strings.ReplaceAll(unit, "/usr/bin/caddy ", "/bin/true ")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", file)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil || strings.Contains(out.String(), "portcullis.service:") {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out.String())
		}
	}
}

// The shell completes the gateway's commands and their flags.
func TestShellCompletion(t *testing.T) {
	complete := func(args ...string) string {
		t.Helper()
		out, errOut, err := command(t, append([]string{"__complete"}, args...)...)
		if err != nil {
			t.Fatalf("%v %s", err, errOut)
		}
		return out
	}
	for _, tc := range []struct {
		args []string
		want []string
	}{
		{[]string{"gateway", ""}, []string{"key", "token", "explain", "check", "health"}},
		{[]string{"gateway", "key", ""}, []string{"create", "list", "revoke", "rotate"}},
		{[]string{"gateway", "key", "create", "--owner", "u1", "--"}, []string{"--tier", "--role", "--scopes", "--expires", "--json", "--address"}},
	} {
		got := complete(tc.args...)
		for _, want := range tc.want {
			if !regexp.MustCompile(`(?m)^` + want + `\b`).MatchString(got) {
				t.Errorf("%v does not complete to %s:\n%s", tc.args, want, got)
			}
		}
	}
	for _, shell := range []string{"bash", "zsh"} {
		if out, _, err := command(t, "completion", shell); err != nil || !strings.Contains(out, "__complete") {
			t.Errorf("%s: %v, %d bytes", shell, err, len(out))
		}
	}
}
