package adminapi

// CheckInput describes a request for a dry run.
type CheckInput struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	// Headers as name and value; a name may come several times.
	Headers []CheckHeader `json:"headers"`
	// Key is an API key, Token a JSON Web Token, and As describes a caller instead;
	// at most one of them.
	Key   string         `json:"key"`
	Token string         `json:"token"`
	As    *DescribedUser `json:"as"`
	// IP is the address that the request comes from. Default: 127.0.0.1.
	IP string `json:"ip"`
}

// CheckHeader is a line of a request's header.
type CheckHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// DescribedUser is a caller that gateway_auth takes as authenticated.
type DescribedUser struct {
	Owner   string   `json:"owner"`
	Subject string   `json:"subject"`
	Roles   []string `json:"roles"`
	Tier    string   `json:"tier"`
	Scopes  []string `json:"scopes"`
	Scheme  string   `json:"scheme"`
	Issuer  string   `json:"issuer"`
	KeyID   string   `json:"key_id"`
}

// CheckResult is what would become of a request.
type CheckResult struct {
	// Allowed says that no policy of the gateway would refuse the request.
	Allowed bool `json:"allowed"`
	// Status is the status that the client would get. It is 0 where the handler that the
	// request would reach decides it.
	Status int `json:"status"`
	// PassedTo is the handler that the request would reach, and Upstreams the
	// addresses that it may choose from.
	PassedTo  *string  `json:"passed_to"`
	Upstreams []string `json:"upstreams"`
	// Limits are the limits that the response would name, as they would be after the request.
	Limits   []LimitRow `json:"limits"`
	Decision *Decision  `json:"decision"`
}
