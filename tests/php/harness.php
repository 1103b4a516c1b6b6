<?php
/*
 * Run the connector as a Cerebrate would: a list of commands on standard input, a list of results
 * on standard output. Used by the tests beside it.
 */
error_reporting(E_ALL);
set_error_handler(function ($level, $text, $file, $line) {
    throw new ErrorException($text, 0, $level, $file, $line);
});
// the connector requires this path of a Cerebrate; what it would define is here already
define('ROOT', sys_get_temp_dir() . '/eme-cerebrate-' . getmypid());
$stub = ROOT . '/src/Lib/default/local_tool_connectors';
mkdir($stub, 0700, true);
file_put_contents("$stub/CommonConnectorTools.php", '<?php');
require __DIR__ . '/standins.php';
require __DIR__ . '/../../cerebrate_local_tool/local_tool_connectors/EmeConnector.php';
unlink("$stub/CommonConnectorTools.php");
for ($folder = $stub; strlen($folder) >= strlen(ROOT); $folder = dirname($folder)) {
    rmdir($folder);
}

use CommonConnectorTools\CommonConnectorTools;

function run(array $command): array
{
    CommonConnectorTools::$rows = ($command['rows'] ?? []) + ['organisations' => [], 'groups' => []];
    CommonConnectorTools::$log = [];
    $connector = new EmeConnector\EmeConnector();
    $connection = new LocalTool($command['connection'] ?? ['id' => 7, 'name' => 'EME', 'settings' => '{}']);
    try {
        $result = answer($connector, $connection, $command);
    } catch (Throwable $e) {
        return ['thrown' => get_class($e), 'message' => $e->getMessage(), 'log' => CommonConnectorTools::$log];
    }
    return $result + ['log' => CommonConnectorTools::$log];
}

function answer($connector, $connection, array $command): array
{
    $name = $command['do'];
    if ($name === 'describe') {
        return describe($connector);
    }
    if ($name === 'health') {
        return ['result' => $connector->health($connection)];
    }
    $method = $command['method'] ?? 'get';
    $isBatch = isset($command['params']['connection_ids']);
    $route = $isBatch ? ['action' => 'batchAction', 'pass' => [$name]] : ['action' => 'action', 'pass' => [(string)$connection['id'], $name]];
    $request = new Cake\Http\ServerRequest($method, $command['kind'] ?? 'html', $route);
    $params = ($command['params'] ?? []) + ['connection' => $connection, 'request' => $request, 'user_id' => 1];
    $result = $connector->{$name}($params);
    if (!is_array($result)) {
        return ['result' => $result];
    }
    if ($isBatch && $method === 'post') {
        $result['connection'] = $connection;    // as Cerebrate's batchAction does
    }
    $rest = $result['restResponse'] ?? null;
    unset($result['restResponse']);
    $shown = $rest ? ['status' => $rest->status, 'type' => $rest->type, 'body' => json_decode($rest->body, true)] : null;
    foreach ($result['data']['actions'] ?? [] as $number => $action) {  // which rows would have this button
        $may = $action['complex_requirement']['function'];
        $result['data']['actions'][$number]['rows'] = array_keys(array_filter($result['data']['data'], fn($row) => $may($row, [])));
    }
    return ['result' => $result, 'rest' => $shown];
}

function describe($connector): array
{
    $class = new ReflectionClass($connector);
    $base = $class->getParentClass();
    $methods = [];
    foreach ($class->getMethods(ReflectionMethod::IS_PUBLIC) as $method) {
        $types = array_map(fn($one) => (string)$one->getType(), $method->getParameters());
        $methods[$method->getName()] = ['takes' => $types, 'returns' => (string)$method->getReturnType(),
            'own' => $method->getDeclaringClass()->getName() === $class->getName()];
    }
    $validator = new Validator();
    $connector->addSettingValidatorRules($validator);
    return ['result' => ['class' => $class->getName(), 'parent' => $base->getName(), 'methods' => $methods, 'rules' => $validator->rules,
        'exposed' => $connector->exposedFunctions, 'batch' => array_keys($connector->getBatchActionFunctions()), 'name' => $connector->name,
        'connectorName' => $connector->connectorName, 'settings' => $connector->settings, 'placeholder' => $connector->settingsPlaceholder]];
}

$commands = json_decode(stream_get_contents(STDIN), true);
echo json_encode(array_map('run', $commands), JSON_PARTIAL_OUTPUT_ON_ERROR | JSON_UNESCAPED_UNICODE), "\n";
