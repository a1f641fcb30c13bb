# The tool with its server: docker build -t cofrgenet . ; see docs/serving.md.
FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /source
COPY . .
RUN dotnet publish src/CoFrGeNet.Cli -c Release -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0
# For the health check.
RUN apt-get update && apt-get install -y --no-install-recommends curl libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=build /app /app
USER $APP_UID
ENV COFRGENET_HOST=0.0.0.0 COFRGENET_PORT=8080 COFRGENET_MODEL=/model
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD curl -fsS http://127.0.0.1:8080/health || exit 1
ENTRYPOINT ["dotnet", "/app/CoFrGeNet.Cli.dll", "serve"]
