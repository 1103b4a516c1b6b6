<?php
/*
 * Our own stand-ins for what a Cerebrate gives to a connector: signatures as recorded from 1.35,
 * bodies only as far as a test looks. The HTTP client really sends.
 */
namespace Cake\Http {
    class Client
    {
        public function get(string $url, $data = [], array $options = []): Client\Response
        {
            return $this->send('GET', $url, null, $options);
        }

        public function post(string $url, $data = [], array $options = []): Client\Response
        {
            return $this->send('POST', $url, $data, $options);
        }

        public function put(string $url, $data = [], array $options = []): Client\Response
        {
            return $this->send('PUT', $url, $data, $options);
        }

        public function patch(string $url, $data = [], array $options = []): Client\Response
        {
            return $this->send('PATCH', $url, $data, $options);
        }

        public function delete(string $url, $data = [], array $options = []): Client\Response
        {
            return $this->send('DELETE', $url, null, $options);
        }

        private function send(string $method, string $url, $data, array $options): Client\Response
        {
            $headers = ['Content-Type: application/json', 'Connection: close'];
            foreach ($options['headers'] ?? [] as $name => $value) {
                $headers[] = "$name: $value";
            }
            $context = stream_context_create(['http' => [
                'method' => $method, 'header' => $headers, 'content' => is_string($data) ? $data : '', 'ignore_errors' => true,
                'timeout' => $options['timeout'] ?? 30, 'follow_location' => empty($options['redirect']) ? 0 : 1,
            ]]);
            $body = @file_get_contents($url, false, $context);
            if ($body === false || empty($http_response_header)) {
                throw new \RuntimeException('cURL Error: could not connect');
            }
            preg_match('#^HTTP/\S+ (\d+)#', $http_response_header[0], $found);
            return new Client\Response((int)$found[1], $body);
        }
    }

    class Response
    {
        public int $status = 200;
        public string $type = 'text/html';
        public string $body = '';

        public function withType(string $type): static
        {
            $made = clone $this;
            $made->type = $type;
            return $made;
        }

        public function withStatus(int $status): static
        {
            $made = clone $this;
            $made->status = $status;
            return $made;
        }

        public function withStringBody(?string $body): static
        {
            $made = clone $this;
            $made->body = (string)$body;
            return $made;
        }
    }

    class ServerRequest
    {
        public function __construct(private string $method, private string $kind, private array $route)
        {
        }

        public function is($type): bool
        {
            foreach ((array)$type as $one) {
                if ($one === $this->method || $one === $this->kind) {
                    return true;
                }
            }
            return false;
        }

        public function getParam(string $name, $default = null)
        {
            return $this->route[$name] ?? $default;
        }
    }
}

namespace Cake\Http\Client {
    class Response
    {
        public function __construct(private int $status, private string $body)
        {
        }

        public function getStatusCode(): int
        {
            return $this->status;
        }

        public function getStringBody(): string
        {
            return $this->body;
        }
    }
}

namespace CommonConnectorTools {
    class CommonConnectorTools
    {
        public $description = '';
        public $name = '';
        public $connectorName = '';
        public $exposedFunctions = ['diagnostics'];
        public $version = '???';
        public static array $rows = ['organisations' => [], 'groups' => []];
        public static array $log = [];

        public function __construct()
        {
        }

        protected function logDebug($message)
        {
            self::$log[] = $message;
        }

        protected function logError($message, $scope = [])
        {
            self::$log[] = $message;
        }

        public function addExposedFunction(string $functionName): void
        {
        }

        public function getBatchActionFunctions(): array
        {
            return array_filter($this->exposedFunctions, fn($one) => $one['type'] == 'batchAction');
        }

        public function runAction($action, $params)
        {
        }

        public function health(Object $connection): array
        {
            return [];
        }

        public function captureOrganisation($input): bool
        {
            return false;
        }

        public function getOrganisation(string $uuid): ?array
        {
            return array_column(self::$rows['organisations'], null, 'uuid')[$uuid] ?? null;
        }

        public function getOrganisations(): array
        {
            return self::$rows['organisations'];
        }

        public function getSharingGroups(): array
        {
            return [];
        }

        public function getFilteredOrganisations($filters, $returnObjects = false): array
        {
            return [];
        }

        public function getFilteredSharingGroups($filters, $returnObjects = false): array
        {
            if (!$returnObjects) {
                throw new \TypeError('a ResultSet is no array');
            }
            $like = fn($one) => empty($filters['name']) || fnmatch(str_replace('%', '*', $filters['name']), $one['name']);
            return array_map(fn($one) => json_decode(json_encode($one)), array_values(array_filter(self::$rows['groups'], $like)));
        }

        public function getOrganisationSelectorValues(): array
        {
            return [];
        }

        public function captureSharingGroup($input, $user_id): bool
        {
            return false;
        }

        public function remoteToolConnectionStatus(array $params, string $status): void
        {
        }

        public function initiateConnectionWrapper(array $params): array
        {
            return $this->initiateConnection($params);
        }

        public function acceptConnectionWrapper(array $params): array
        {
            return $this->acceptConnection($params);
        }

        public function finaliseConnectionWrapper(array $params): bool
        {
            $this->finaliseConnection($params);
            return false;
        }

        public function diagnostics(array $params): array
        {
            return [];
        }
    }
}

namespace {
    function __(string $text, ...$values): string
    {
        foreach ($values as $number => $value) {
            $text = str_replace('{' . $number . '}', (string)$value, $text);
        }
        return $text;
    }

    function h($text): string
    {
        return htmlspecialchars((string)$text, ENT_QUOTES | ENT_SUBSTITUTE);
    }

    class LocalTool implements \ArrayAccess, \JsonSerializable
    {
        private array $hidden = [];

        public function __construct(private array $row)
        {
        }

        public function __get(string $name)
        {
            return $this->row[$name] ?? null;
        }

        public function setHidden(array $names, bool $merge = false): static
        {
            $this->hidden = $names;
            return $this;
        }

        public function offsetExists(mixed $name): bool
        {
            return isset($this->row[$name]);
        }

        public function offsetGet(mixed $name): mixed
        {
            return $this->row[$name] ?? null;
        }

        public function offsetSet(mixed $name, mixed $value): void
        {
        }

        public function offsetUnset(mixed $name): void
        {
        }

        public function jsonSerialize(): array
        {
            return array_diff_key($this->row, array_flip($this->hidden));
        }
    }

    class Validator
    {
        public array $rules = [];

        public function __call(string $rule, array $arguments): static
        {
            $this->rules[] = [$rule, $arguments[0], $arguments[1] ?? ''];
            return $this;
        }
    }
}
