<?php
// The routes of the differential test of paths, with a front controller in PHP.
header('Content-Type: application/json');
$path = rawurldecode(explode('?', $_SERVER['REQUEST_URI'], 2)[0]);
if ($path === '/healthz') {
	echo json_encode(['route' => 'healthz']);
} elseif ($path === '/search') {
	echo json_encode(['route' => 'search']);
} elseif (str_starts_with($path, '/v1/admin/')) {
	echo json_encode(['route' => 'admin', 'id' => substr($path, 10)], JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES);
} elseif (preg_match('~^/v1/users/([^/]+)~', $path, $match)) {
	echo json_encode(['route' => 'user', 'id' => $match[1]], JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES);
} else {
	http_response_code(404);
	echo json_encode(['route' => 'none']);
}
