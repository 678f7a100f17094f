# Service Health Checks
curl http://localhost:8003/admin/health
curl http://localhost:8001/health

# Adapter Failing
curl http://localhost:8003/admin/credentials/{platform}

# High Memory Usage
curl -X POST http://localhost:8001/adapters/clear-cache

# LIDM Tier Thresholds
curl -X PUT http://localhost:8003/admin/routing-config \
  -H "Content-Type: application/json" \
  -d '{"lidm_delegation_threshold": 0.8, ...}'

# Add New Module
curl -X POST http://localhost:8003/admin/modules/my_category/my_platform/enable
curl http://localhost:8003/admin/modules | jq '.modules[] | select(.platform=="my_platform")'

# Rotate Credentials
curl -X POST http://localhost:8003/admin/credentials \
  -H "Content-Type: application/json" \
  -d '{"platform": "openweather", "credentials": {"api_key": "new-key"}}'
curl -X POST http://localhost:8003/admin/modules/weather/openweather/reload
curl http://localhost:8003/admin/credentials/openweather/check

# Update Routing Config
curl -X PUT http://localhost:8003/admin/routing-config \
  -H "Content-Type: application/json" \
  -d @config/routing_config.json
curl http://localhost:8003/admin/routing-config | jq .
