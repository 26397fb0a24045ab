package adminapi

// UserInput creates or changes an account. Fields that are nil stay as they are.
type UserInput struct {
	Email    *string   `json:"email,omitempty"`
	FullName *string   `json:"full_name,omitempty"`
	Role     *string   `json:"role,omitempty"`
	Tier     *string   `json:"tier,omitempty"`
	Scopes   *[]string `json:"scopes,omitempty"`
	// Password is generated where it is nil.
	Password *string `json:"password,omitempty"`
}

// User is an account.
type User struct {
	ID            string   `json:"id"`
	Email         string   `json:"email"`
	FullName      string   `json:"full_name"`
	Role          string   `json:"role"`
	Tier          string   `json:"tier"`
	Scopes        []string `json:"scopes"`
	CreatedAt     *string  `json:"created_at"`
	PasswordSetAt *string  `json:"password_set_at"`
	DisabledAt    *string  `json:"disabled_at"`
	// Password is a generated one. Only the answer that sets it has it.
	Password string `json:"password,omitempty"`
}

// DefaultAuditLimit is how many entries of the audit trail one answer has unless
// asked otherwise.
const DefaultAuditLimit = 100

// AuditEntry is a line of the audit trail.
type AuditEntry struct {
	ID     int64   `json:"id"`
	At     *string `json:"at"`
	Actor  string  `json:"actor"`
	Action string  `json:"action"`
	Target string  `json:"target"`
	From   string  `json:"from"`
	Result string  `json:"result"`
}
