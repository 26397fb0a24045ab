# The Python of the document that the gateway was built from, as its customers
# run it: as printed but for the host, and for a password that the gateway would
# not set. What a snippet takes for given (token, url, headers) is made by the
# ones before it. The first argument is the gateway's URL.
import asyncio
import sys
import time as clock

import aiohttp
import requests

BASE = sys.argv[1]


# --- 401: refresh, and log in again
def refresh_token(current_token):
    response = requests.post(
        f"{BASE}/v1/auth/refresh",
        headers={"Authorization": f"Bearer {current_token}"}
    )
    if response.status_code == 200:
        return response.json()["access_token"]
    else:
        # Token too old - need to re-login
        return login()


def login():
    response = requests.post(
        f"{BASE}/v1/auth/login-json",
        json={
            "username": "user@example.com",
            "password": "SecurePass123!"
        }
    )
    return response.json()["access_token"]


# --- 422: register
user_data = {"email": "user@example.com", "password": "SecurePass123!", "full_name": "John Doe"}
response = requests.post(f"{BASE}/v1/auth/register", json=user_data)
assert response.status_code == 201, response.text


# --- 409: register, or log in where the account is there
def create_or_get_user(email, password, full_name):
    try:
        # Try to create
        response = requests.post(
            f"{BASE}/v1/auth/register",
            json={
                "email": email,
                "password": password,
                "full_name": full_name
            }
        )
        response.raise_for_status()
        return response.json()
    except requests.exceptions.HTTPError as e:
        if e.response.status_code == 409:
            # User exists - login instead
            response = requests.post(
                f"{BASE}/v1/auth/login-json",
                json={"username": email, "password": password}
            )
            return response.json()
        raise


assert "access_token" in create_or_get_user("user@example.com", "SecurePass123!", "John Doe")
assert create_or_get_user("other@example.com", "SecurePass123!", "Jane Doe")["email"] == "other@example.com"

token = login()
old = token
token = refresh_token(old)
assert token != old
assert refresh_token("eyJhbGciOiJIUzI1NiJ9.e30.AAAA")  # too old: logs in again
jwt_token = token

# --- 403: check your current user role
response = requests.get(
    f"{BASE}/v1/auth/me",
    headers={"Authorization": f"Bearer {token}"}
)
user_data = response.json()
print(f"Your role: {user_data['role']}")
assert user_data["role"] == "USER"
url1 = f"{BASE}/v1/auth/me"  # ✅
url2 = f"{BASE}/v1/auth/me/"  # ✅
for url in (url1, url2):
    assert requests.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 200

# --- API keys: list, create, use
response = requests.get(
    f"{BASE}/v1/api-keys",
    headers={"Authorization": f"Bearer {jwt_token}"}
)
print(response.json())
assert response.json() == []
response = requests.post(
    f"{BASE}/v1/api-keys",
    headers={"Authorization": f"Bearer {jwt_token}"},
    json={"name": "New Key", "expires_in_days": 90}
)
new_key = response.json()["api_key"]
for headers in ({"X-API-Key": new_key}, {"Authorization": f"Bearer {new_key}"}):
    assert requests.get(url1, headers=headers).status_code == 200
assert requests.get(url1, headers={"Api-Key": new_key}).status_code == 401

# --- 404: list resources first
response = requests.get(
    f"{BASE}/v1/database/projects",
    headers={"Authorization": f"Bearer {token}"}
)
projects = response.json()
if projects:
    project_id = projects[0]["id"]
else:
    # No projects - create one first
    response = requests.post(
        f"{BASE}/v1/database/projects",
        headers={"Authorization": f"Bearer {token}"},
        json={"name": "My Project", "description": "Test"}
    )
    project_id = response.json()["id"]


# --- many requests at once
async def fetch_project(session, project_id):
    async with session.get(
        f"{BASE}/v1/database/projects/{project_id}",
        headers={"Authorization": f"Bearer {token}"}
    ) as response:
        return await response.json()


async def fetch_all_projects(project_ids):
    async with aiohttp.ClientSession() as session:
        tasks = [fetch_project(session, pid) for pid in project_ids]
        return await asyncio.gather(*tasks)


# Run async
results = asyncio.run(fetch_all_projects([1, 2, 3, 4, 5]))
assert len(results) == 5 and all("id" in r for r in results), results


# --- 429: the retry waits as long as the gateway says
def make_request_with_retry(url, headers, max_retries=3):
    for attempt in range(max_retries):
        response = requests.get(url, headers=headers)

        if response.status_code == 429:
            retry_after = int(response.headers.get('Retry-After', 60))
            print(f"Rate limited. Waiting {retry_after} seconds...")
            sleep(retry_after)
            continue

        return response

    raise Exception("Max retries exceeded")


# --- 429: track the request rate. The tier's window is shortened to 2 seconds.
from collections import deque
from time import time, sleep


class RateLimiter:
    def __init__(self, max_requests=60, time_window=60):
        self.max_requests = max_requests
        self.time_window = time_window
        self.requests = deque()

    def wait_if_needed(self):
        now = time()

        # Remove old requests outside time window
        while self.requests and now - self.requests[0] > self.time_window:
            self.requests.popleft()

        # If at limit, wait
        if len(self.requests) >= self.max_requests:
            sleep_time = self.time_window - (now - self.requests[0])
            if sleep_time > 0:
                print(f"Rate limit reached. Sleeping {sleep_time:.2f}s")
                sleep(sleep_time)

        self.requests.append(now)


sleep(2)  # what was used above comes back
limiter = RateLimiter(max_requests=60, time_window=2)
headers = {"Authorization": f"Bearer {token}"}
statuses = []
for i in range(200):
    limiter.wait_if_needed()
    response = requests.get(f"{BASE}/v1/database/projects", headers=headers)
    statuses.append(response.status_code)
assert statuses == [200] * 200, statuses

while requests.get(f"{BASE}/v1/database/projects", headers=headers).status_code == 200:
    pass
assert make_request_with_retry(f"{BASE}/v1/database/projects", headers).status_code == 200
print("all snippets work")
