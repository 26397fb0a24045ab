<?php
// What a script behind FastCGI gets of a request.
header('Content-Type: application/json');
echo json_encode(array_filter($_SERVER, 'is_string'), JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES);
