package main

// workload is what callers ask for. Systems are compared within a workload only.
type workload struct {
	id, name string
	method   string
	path     string
	body     int  // bytes of the request
	size     int  // bytes of the response
	http2    bool // over TLS; by h2load, else by wrk
}

var workloads = []workload{
	{id: "get", name: "GET, answer of 200 B", method: "GET", path: "/v1/items/1", size: 200},
	{id: "post", name: "POST of 10 KB, answer of 200 B", method: "POST", path: "/v1/items", body: 10 << 10, size: 200},
	{id: "large", name: "GET, answer of 100 KB", method: "GET", path: largePath, size: 100 << 10},
	{id: "h2", name: "GET, answer of 200 B, TLS and HTTP/2 to the client", method: "GET", path: "/v1/items/1", size: 200, http2: true},
}

// largePath is what the upstream answers with 100 KB.
const largePath = "/v1/large"
