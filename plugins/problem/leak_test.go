package problem

import (
	"os"
	"strings"
	"testing"

	"github.com/ainative/portcullis/plugins/problem/internal/leak"
)

// lines reads a corpus: a text a line, # for comments, ⏎ for a line break.
func lines(t *testing.T, name string) (out []string) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && !strings.HasPrefix(line, "# ") {
			out = append(out, strings.ReplaceAll(line, "⏎", "\n"))
		}
	}
	return out
}

// TestLeakCorpus: no text of leaking.txt reaches a client by any way that a text
// can take, and each of human.txt does by all of them.
func TestLeakCorpus(t *testing.T) {
	tr := newTranslator(t, Config{})
	show := newTranslator(t, Config{ServerMessages: true})
	quote := func(s string) string { return string(appendJSONString(nil, s)) }
	ways := []struct {
		name   string
		status int
		body   func(string) string
		tr     *Translator
	}{
		{"detail of a 400", 400, func(s string) string { return `{"detail":` + quote(s) + `}` }, tr},
		{"detail of a 500", 500, func(s string) string { return `{"detail":` + quote(s) + `}` }, tr},
		{"detail list", 422, func(s string) string { return `{"detail":[{"loc":["body","a"],"msg":` + quote(s) + `,"type":"x"}]}` }, tr},
		{"list of a 500", 500, func(s string) string { return `{"detail":[{"loc":["body","a"],"msg":` + quote(s) + `,"type":"x"}]}` }, tr},
		{"message", 409, func(s string) string { return `{"message":` + quote(s) + `}` }, tr},
		{"field", 422, func(s string) string { return `{"errors":{"email":[` + quote(s) + `]}}` }, tr},
		{"problem", 403, func(s string) string { return `{"title":"No","status":403,"errors":[{"message":` + quote(s) + `}]}` }, tr},
		{"shown 5xx", 503, func(s string) string { return `{"message":` + quote(s) + `}` }, show},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			answer := func(s string) string {
				body := way.body(s)
				p, pass := way.tr.Translate(Response{Status: way.status, Body: []byte(body)})
				if pass {
					return body
				}
				return string(way.tr.Append(nil, p, FormatFastAPI, Env{}))
			}
			for _, s := range lines(t, "leaking.txt") {
				if got := answer(s); strings.Contains(got, strings.Trim(quote(s), `"`)) {
					t.Errorf("%q leaves in %s", s, got)
				}
			}
			for _, s := range lines(t, "human.txt") {
				if got := answer(s); !strings.Contains(got, strings.Trim(quote(s), `"`)) {
					t.Errorf("%q is lost: %s", s, got)
				}
			}
		})
	}
}

// TestLeakCorpusAlone asks the guard itself.
func TestLeakCorpusAlone(t *testing.T) {
	for _, s := range lines(t, "leaking.txt") {
		if leak.Of(s) == "" {
			t.Errorf("leakOf(%q) found nothing", s)
		}
	}
	for _, s := range lines(t, "human.txt") {
		if class := leak.Of(s); class != "" {
			t.Errorf("leakOf(%q) = %s, want none", s, class)
		}
	}
}

// TestLeakOfHumanText has what must pass: sentences frameworks and people write.
func TestLeakOfHumanText(t *testing.T) {
	for _, text := range []string{
		"Select a valid choice. That choice is not one of the available choices.",
		"Please select an item from the list",
		"Select one or more files from your computer and update the set of tags",
		"Email already registered",
		"Date must be after 10:30",
		"Meeting runs 2026-02-12T10:15:30+01:00 to 11:45",
		"Please visit https://example.com/docs",
		"See https://docs.example.com:8443/errors/E1001.html for more",
		"Version 1.2.3 is no longer supported",
		"Client version 10.0.19.4 is too old",
		"/v1/users is deprecated, use /v2/users",
		"Cannot GET /var/www/index.php",
		"Cannot POST /home/settings",
		"Route GET:/app/data.json not found",
		"The requested URL /etc/passwd was not found on this server.",
		"No such user",
		"User not found",
		"Couldn't find Order with 'id'=42",
		"User matching query does not exist.",
		"No User matches the given query.",
		"Password must be at least 8 characters",
		"Password: this field is required",
		"Invalid token",
		"Token has expired",
		"Your API key is missing",
		"The secret must not be empty",
		"Invalid username or password.",
		"String should have at least 12 characters",
		"age must be of type number",
		"Input should be a valid integer, unable to parse string as an integer",
		"value is not a valid email address: The part after the @-sign is not valid. It should have a period.",
		"ensure this value is less than or equal to 100",
		"'name' is a required property",
		"Expecting property name enclosed in double quotes: line 1 column 30 (char 29)",
		"Unexpected token } in JSON at position 12",
		"Unexpected end of JSON input",
		`pods "web-0" not found`,
		`secrets "db" is forbidden: User "jane" cannot get resource "secrets" in API group "" in the namespace "default"`,
		"shelf 7 does not exist",
		"The zone 'us-east1-a' does not have enough resources available",
		"API rate limit exceeded for 192.0.2.1.",
		"no such index [foo]",
		"Failed to parse query [foo AND]",
		"Cannot query field \"nope\" on type \"Query\".",
		"Variable \"$i\" got invalid value \"x\"; Int cannot represent non-integer value: \"x\"",
		"Syntax Error: Expected Name, found \"}\".",
		"The field Quantity must be between 1 and 500.",
		"The Lines[0].Project field is required.",
		"The value 'x' is not valid.",
		"The profile.avatar field is required.",
		"Could not resolve the address of the webhook",
		"We could not connect to your bank",
		"Order #1234 is at the depot",
		"Ratio 16:9 is not supported, use 4:3",
		"Error code: 1234",
		"Card number ends in 4242",
		"The file is too large (max 5 MB)",
		"report.pdf is not an image",
		"Invalid file extension .exe",
		"Key: name, Value: too long",
		"Pandora-2 is out of stock",
		"Your session at example.com has ended",
		"Write to support@example.com",
		"Price must be < 100 & > 0",
		"Ihre Anfrage konnte nicht bearbeitet werden",
		"リソースが見つかりません",
		"Запрос не найден",
		"arn:aws:iam::123456789012:user/bob is not authorized to perform: s3:GetObject",
		"Update your profile to set a password",
		"Table 4 is already reserved",
		"Delete from cart failed: item is locked",
		"Drop the table reservation first",
		"Request must contain either a valid (registered) AWS access key ID or X.509 certificate.",
		"Missing required param: amount.",
		"code_verifier does not match the code_challenge",
		"Your balance is 30, but that costs 50.",
		"quota for bucket photos exceeded",
		"http: request body too large",
		"per-minute read quota exhausted",
		"CSRF verification failed. Request aborted.",
		"RBAC: access denied",
		"JWT expired",
		"permission denied",
		"The operation timed out, try again",
	} {
		if class := leak.Of(text); class != "" {
			t.Errorf("leakOf(%q) = %q, want none", text, class)
		}
	}
}

// TestLeakOf has what must not pass.
func TestLeakOf(t *testing.T) {
	seam := make(map[string]bool)
	for _, c := range []struct{ class, text string }{
		{"stack", "Traceback (most recent call last):\n  File \"/srv/app.py\", line 3, in f"},
		{"stack", "KeyError: 'missing'"},
		{"stack", "at com.acme.shop.UserService.save(UserService.java:42)"},
		{"stack", "TypeError: Cannot read properties of undefined (reading 'id')"},
		{"stack", "boom\n    at Object.me (/srv/app/apps.js:63:152)"},
		{"stack", "boom at next (/srv/app/route.js:149:13)"},
		{"stack", "runtime error: invalid memory address or nil pointer dereference"},
		{"stack", "panic: oops\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:5"},
		{"stack", "handler.go:42: bad"},
		{"stack", "PHP Fatal error:  Uncaught Error: Call to undefined function foo()"},
		{"stack", "Undefined variable: x in /var/www/html/index.php on line 3"},
		{"stack", "#0 /var/www/html/a.php(12): foo()"},
		{"stack", "Object reference not set to an instance of an object."},
		{"stack", "   at Shop.Orders.Get(Int32 id) in C:\\src\\Orders.cs:line 42"},
		{"stack", "app/models/user.rb:34:in `call'"},
		{"stack", "undefined method `name' for nil:NilClass"},
		{"stack", "psycopg2.errors.UniqueViolation: duplicate"},
		{"stack", "java.lang.NullPointerException"},
		{"stack", "thread 'main' panicked at src/main.rs:4:5"},
		{"sql", "(x) no such table: users\n[SQL: SELECT 1]"},
		{"sql", "You have an error in your SQL syntax; check the manual"},
		{"sql", "SQLSTATE[42S02]: Base table or view not found"},
		{"sql", "ORA-12541: TNS:no listener"},
		{"sql", "duplicate key value violates unique constraint \"users_email_key\""},
		{"sql", "QueuePool limit of size 20 overflow 10 reached, connection timed out"},
		{"sql", "HikariPool-1 - Connection is not available"},
		{"sql", "pq: password authentication failed for user \"svc\""},
		{"sql", "relation \"orders\" does not exist"},
		{"sql", "E11000 duplicate key error collection: shop.users index: email_1 dup key"},
		{"sql", "SELECT id FROM users WHERE id = 1"},
		{"sql", "select * from users"},
		{"sql", "could not execute statement; constraint [users_email_key]"},
		{"sql", "Cannot insert duplicate key row in object 'dbo.Users'"},
		{"sql", "Table 'shop.orders' doesn't exist"},
		{"sql", "etcdserver: request timed out"},
		{"credential", "postgresql://app:s3cret@db/shop"},
		{"credential", "could not parse redis://cache"},
		{"credential", "Server=tcp:x;Initial Catalog=shop;User ID=sa;Password=Secret1"},
		{"credential", "db_password='hunter2'"},
		{"credential", "token=abcdef123456 rejected"},
		{"credential", "host=10.0.0.1 user=app dbname=shop"},
		{"credential", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"},
		{"credential", "AKIAIOSFODNN7EXAMPLE is not allowed"},
		{"credential", "Authorization: Bearer abcdefghijklmnopqrstuvwxyz"},
		{"credential", "-----BEGIN RSA PRIVATE KEY-----"},
		{"path", "open /etc/ssl/private/key: permission denied"},
		{"path", "Could not write '/srv/app/uploads/a'"},
		{"path", "Template error in /app/templates/index.html.twig"},
		{"path", "C:\\inetpub\\shop\\web.config is missing"},
		{"path", "loaded from node_modules"},
		{"path", "vendor/laravel/framework/src/Connection.php"},
		{"host", "dial tcp 10.0.12.7:5432"},
		{"host", "connect ECONNREFUSED 203.0.113.9"},
		{"host", "upstream 192.168.1.10 failed"},
		{"host", "bad answer from 203.0.113.9:8080"},
		{"host", "redis:6379 did not answer"},
		{"host", "Failed to reach http://storage-svc.internal/x"},
		{"host", "orders.default.svc.cluster.local is away"},
		{"host", "http://localhost:3000 is not allowed"},
		{"host", "fetching http://billing/api failed"},
		{"host", "[fd00::12]:443 is away"},
		{"host", "upstream connect error or disconnect/reset before headers"},
		{"host", "getaddrinfo ENOTFOUND api"},
		{"type", "Unknown entity: com.acme.shop.dto.UserDto"},
		{"type", "No query results for model [App\\Models\\User] 42"},
		{"type", "#<User:0x00007f>"},
		{"type", "ActiveRecord::Base"},
		{"type", "<class 'app.models.User'>"},
		{"type", "JSON deserialization for type 'Shop.Billing.Internal.CreateAccountRequest'"},
		{"type", "System.Text.Json.JsonElement"},
	} {
		got := leak.Of(c.text)
		if got == "" {
			t.Errorf("leakOf(%q) found nothing, want %s", c.text, c.class)
		} else if got != c.class {
			t.Logf("leakOf(%q) = %s, want %s", c.text, got, c.class)
		}
		// The same in the midst of a body and, once for each class, at the seam of
		// two windows.
		behind := []int{1000}
		if !seam[c.class] {
			seam[c.class] = true
			behind = append(behind, leak.Window-len(c.text)/2-1)
		}
		for _, n := range behind {
			if long := strings.Repeat("word ", n/5) + "\n" + c.text + "\n" + strings.Repeat(" word", 500); leak.Of(long) == "" {
				t.Errorf("leakOf misses %q behind %d bytes", c.text, n)
			}
		}
	}
}
