<?php
/*
 * Cerebrate local tool for the EME connector's sidecar, loaded from src/Lib/custom/local_tool_connectors/.
 * It fetches, compares, shows and pushes; every rule (who may see what, who is believed, who becomes a
 * peer) is the sidecar's.
 */
namespace EmeConnector;

require_once(ROOT . '/src/Lib/default/local_tool_connectors/CommonConnectorTools.php');

use Cake\Http\Client;
use Cake\Http\Response;
use CommonConnectorTools\CommonConnectorTools;

class EmeConnector extends CommonConnectorTools
{
    public $name = 'EME';
    public $connectorName = 'EmeConnector';
    public $description = 'EME sidecar: threats, policies, organisations, sharing groups, handshakes with other sidecars.';
    public $version = '1.0';
    public $settings = ['url' => ['type' => 'text'], 'token' => ['type' => 'text'], 'skip_ssl' => ['type' => 'boolean']];
    public $settingsPlaceholder = ['url' => 'https://eme.example.org', 'token' => 'eme_...', 'skip_ssl' => '0'];
    public $exposedFunctions = [
        'diagnosticsAction' => ['type' => 'index', 'scope' => 'child', 'params' => ['quickFilter']],
        'threatsAction' => ['type' => 'index', 'scope' => 'child', 'params' => ['quickFilter', 'limit']],
        'policiesAction' => ['type' => 'index', 'scope' => 'child', 'params' => ['quickFilter']],
        'organisationsAction' => ['type' => 'index', 'scope' => 'child', 'params' => ['quickFilter']],
        'sharingGroupsAction' => ['type' => 'index', 'scope' => 'child', 'params' => ['quickFilter']],
        'handshakesAction' => ['type' => 'index', 'scope' => 'child', 'params' => ['quickFilter']],
        'pushOrganisationAction' => ['params' => ['uuid'], 'redirect' => 'organisationsAction'] + self::FORM,
        'pushOrganisationsAction' => ['params' => [], 'redirect' => 'organisationsAction'] + self::FORM,
        'pushSharingGroupAction' => ['params' => ['uuid'], 'redirect' => 'sharingGroupsAction'] + self::FORM,
        'pushSharingGroupsAction' => ['params' => ['name'], 'redirect' => 'sharingGroupsAction'] + self::FORM,
        'withdrawSharingGroupAction' => ['params' => ['uuid'], 'redirect' => 'sharingGroupsAction'] + self::FORM,
        'cancelHandshakeAction' => ['params' => ['code'], 'redirect' => 'handshakesAction'] + self::FORM,
        'batchPushAction' => ['type' => 'batchAction', 'scope' => 'childAction', 'params' => ['what'],
            'ui' => ['text' => 'Push organisations and groups', 'icon' => 'upload', 'variant' => 'primary']],
    ];

    private const FORM = ['type' => 'formAction', 'scope' => 'childAction'];
    private const TIMEOUT = 5;          // seconds; Cerebrate waits for every connection of its index
    private const LONG_TIMEOUT = 25;    // a push, or a handshake that calls another sidecar
    private const JSON = JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE;
    private const HERE = 'only in Cerebrate';
    private const THERE = 'only in the sidecar';
    private const LEVELS = [
        'same' => ['colour' => 'success', 'message' => 'same', 'icon' => 'check-circle'],
        'differs' => ['colour' => 'warning', 'message' => 'differs', 'icon' => 'exclamation-circle'],
        self::HERE => ['colour' => 'danger', 'message' => self::HERE, 'icon' => 'arrow-up'],
        self::THERE => ['colour' => 'info', 'message' => self::THERE, 'icon' => 'arrow-down'],
    ];

    public function addSettingValidatorRules($validator)
    {
        return $validator
            ->requirePresence(['url', 'token'])
            ->regex('url', '#^https?://#', __('The URL must start with https:// or http://'))
            ->regex('token', '/^eme_[a-z0-9]{12}_[A-Za-z0-9_-]{43}$/', __('This is not a token of a sidecar'))
            ->boolean('skip_ssl');
    }

    public function health(Object $connection): array
    {
        try {
            $this->call($connection, 'get', '/health?quick=true');
        } catch (SidecarError $e) {
            return ['status' => $e->getCode() ? 3 : 0, 'message' => $e->getMessage()];
        }
        return ['status' => 1, 'message' => __('OK')];
    }

    public function diagnostics(array $params): array
    {
        [$issues, $settings] = [[], $this->settingsOf($params['connection'])];
        if (!empty($settings['skip_ssl'])) {
            $issues['tls'] = ['type' => 'warning', 'message' => __('Any certificate is trusted (skip_ssl).')];
        }
        if (strpos($settings['url'] ?? '', 'http://') === 0) {
            $issues['http'] = ['type' => 'warning', 'message' => __('The token travels unencrypted (http).')];
        }
        try {
            $found = $this->call($params['connection'], 'get', '/health');
        } catch (SidecarError $e) {
            return $issues + ['sidecar' => ['type' => 'danger', 'message' => $e->getMessage()]];
        }
        foreach ($found['parts'] ?? [] as $part) {
            if (empty($part['ok'])) {
                $issues[$part['part']] = ['type' => 'danger', 'message' => __('{0} is down: {1}', $part['part'], $part['detail'])];
            }
        }
        return $issues;
    }

    public function diagnosticsAction(array $params): array
    {
        return $this->index($params, function () use ($params) {
            $issues = $this->diagnostics($params) ?: ['all' => ['type' => 'success', 'message' => __('Nothing is wrong.')]];
            return array_map(fn($part, $issue) => ['part' => $part] + $issue, array_keys($issues), $issues);
        }, ['part', 'type', 'message']);
    }

    public function threatsAction(array $params): array
    {
        $query = ['limit' => max(1, min(100, (int)($params['limit'] ?? 50)))];
        if (!empty($params['quickFilter'])) {
            $query['keyword'] = mb_substr($params['quickFilter'], 0, 200);
            unset($params['quickFilter']);      // the sidecar searches all threats, not only these
        }
        $fields = ['name', 'type', 'risk', 'status', 'execution', 'organisation', 'tlp', 'received_at', 'id'];
        return $this->index($params, fn() => array_map(fn($one) => [
            'risk' => $one['risk']['rank'] . ' (' . $one['risk']['band'] . ')',
            'organisation' => $one['organisation']['name'],
        ] + array_intersect_key($one, array_flip($fields)), $this->listed($params, '/ci/threats?' . http_build_query($query), 'threats')), $fields);
    }

    public function policiesAction(array $params): array
    {
        return $this->index($params, function () use ($params) {
            $rows = [];
            foreach ($this->listed($params, '/ci/policy/settings', 'settings') as $setting) {
                $scope = implode(', ', array_filter($setting['scope'])) ?: __('everything');
                foreach ($setting['automatic'] as $group => $actions) {
                    foreach ($actions as $action => $on) {
                        $rows[] = compact('scope', 'group', 'action') + ['automatic' => $on ? __('by policy') : __('asks a person')];
                    }
                }
            }
            return $rows;
        }, ['scope', 'group', 'action', 'automatic']);
    }

    public function organisationsAction(array $params): array
    {
        $rows = fn() => $this->compared($params['connection'], 'organisations');
        return $this->index($params, $rows, ['level', 'name', 'status', 'differs', 'uuid', 'nationality', 'sector', 'type', 'source'], [
            $this->rowAction($params, 'pushOrganisationAction', 'upload', __('Push'), ['differs', self::HERE]),
        ], 'pushOrganisationsAction');
    }

    public function sharingGroupsAction(array $params): array
    {
        $counted = fn($one) => ['members' => count($one['members'])] + $one;
        $rows = fn() => array_map($counted, $this->compared($params['connection'], 'sharing_groups'));
        return $this->index($params, $rows, ['level', 'name', 'status', 'differs', 'uuid', 'members', 'releasability', 'source'], [
            $this->rowAction($params, 'pushSharingGroupAction', 'upload', __('Push'), ['differs', self::HERE]),
            $this->rowAction($params, 'withdrawSharingGroupAction', 'trash', __('Withdraw'), [self::THERE]),
        ], 'pushSharingGroupsAction');
    }

    public function handshakesAction(array $params): array
    {
        $shown = fn($one) => ['began' => $one['role'] === 'ours' ? __('here') : __('there'), 'name' => $one['name'] ?: $one['organisation'],
            'fingerprint' => trim(chunk_split($one['fingerprint'], 4, ' '))] + $one;
        $rows = fn() => array_map($shown, $this->listed($params, '/peers/handshakes', 'handshakes'));
        return $this->index($params, $rows, ['name', 'state', 'began', 'fingerprint', 'created_at', 'expires_at'], [
            $this->rowAction($params, 'cancelHandshakeAction', 'trash', __('Cancel'), ['open', 'bound'], 'code', 'state'),
        ]);
    }

    public function pushOrganisationAction(array $params): array
    {
        $text = __('Push organisation {0} to the sidecar?', $params['uuid'] ?? '');
        return $this->form($params, __('Push organisation'), $text, function () use ($params) {
            $organisation = $this->getOrganisation($params['uuid'] ?? '');
            if (empty($organisation)) {
                throw new SidecarError(__('Could not find the organisation.'));
            }
            return $this->pushOrganisations($params['connection'], [$this->organisation($organisation)]);
        });
    }

    public function pushOrganisationsAction(array $params): array
    {
        $text = __('Push every organisation that the sidecar does not have, or has otherwise?');
        $work = fn() => $this->pushOrganisations($params['connection'], $this->toPush($params['connection'], 'organisations'));
        return $this->form($params, __('Push organisations'), $text, $work);
    }

    public function pushSharingGroupAction(array $params): array
    {
        $text = __('Push sharing group {0} with its organisations? Who is no member here is no member there afterwards.', $params['uuid'] ?? '');
        return $this->form($params, __('Push sharing group'), $text, function () use ($params) {
            $groups = array_values(array_filter($this->groups(), fn($group) => $group['uuid'] === ($params['uuid'] ?? '')));
            if (!$groups) {
                throw new SidecarError(__('Could not find the sharing group.'));
            }
            return $this->pushGroups($params['connection'], $groups);
        });
    }

    public function pushSharingGroupsAction(array $params): array
    {
        $text = __('Push every sharing group that the sidecar does not have, or has otherwise.');
        $chosen = fn() => $this->toPush($params['connection'], 'sharing_groups', ['name' => $params['name'] ?? '']);
        return $this->form($params, __('Push sharing groups'), $text, fn() => $this->pushGroups($params['connection'], $chosen()), [
            ['field' => 'name', 'label' => __('Name'), 'placeholder' => __('all; % stands for anything')],
        ]);
    }

    public function withdrawSharingGroupAction(array $params): array
    {
        $text = __('Let the sidecar forget sharing group {0}? It is for nobody then.', $params['uuid'] ?? '');
        return $this->form($params, __('Withdraw sharing group'), $text, function () use ($params) {
            $this->call($params['connection'], 'delete', '/sharing-groups/' . rawurlencode($params['uuid'] ?? ''));
            return [__('The sharing group is withdrawn.'), []];
        });
    }

    public function cancelHandshakeAction(array $params): array
    {
        return $this->form($params, __('Cancel handshake'), __('End this handshake? A new one can be begun.'), function () use ($params) {
            $this->call($params['connection'], 'delete', '/peers/handshakes/' . rawurlencode($params['code'] ?? ''));
            return [__('The handshake is cancelled.'), []];
        });
    }

    public function batchPushAction(array $params): array
    {
        $options = ['both' => __('both'), 'organisations' => __('organisations'), 'sharing_groups' => __('sharing groups')];
        return $this->form($params, __('Push to every selected sidecar'), __('What a sidecar has already is left alone.'), function () use ($params) {
            $done = [];
            if (($params['what'] ?? '') !== 'sharing_groups') {
                $done[] = $this->pushOrganisations($params['connection'], $this->toPush($params['connection'], 'organisations'));
            }
            if (($params['what'] ?? '') !== 'organisations') {
                $done[] = $this->pushGroups($params['connection'], $this->toPush($params['connection'], 'sharing_groups'));
            }
            return [implode(' ', array_column($done, 0)), array_merge(...array_column($done, 1))];
        }, [['field' => 'what', 'label' => __('What'), 'type' => 'dropdown', 'options' => $options]]);
    }

    /* The three calls of an inter-connection. What they return travels through both inboxes: it is signed
       and no secret. They throw where something is wrong: only then does Cerebrate keep the state it has. */

    public function initiateConnection(array $params): array
    {
        $found = $this->call($params['connection'], 'post', '/peers/handshakes', ['organisation' => $this->remote($params)], self::LONG_TIMEOUT);
        return ['eme_offer' => $found['offer']];
    }

    public function acceptConnection(array $params): array
    {
        $body = ['organisation' => $this->remote($params), 'offer' => (string)($params['remote_tool_data']['eme_offer'] ?? '')];
        return ['eme_answer' => $this->call($params['connection'], 'post', '/peers/handshakes/accept', $body, self::LONG_TIMEOUT)['answer']];
    }

    public function finaliseConnection(array $params): bool
    {
        $body = ['organisation' => $this->remote($params), 'answer' => (string)($params['remote_tool_data']['eme_answer'] ?? '')];
        try {
            $this->call($params['connection'], 'post', '/peers/handshakes/finalise', $body, self::LONG_TIMEOUT);
        } catch (SidecarError $e) {
            $this->logError('finalise: ' . $e->getMessage());   // Cerebrate drops the text of this one
            throw $e;
        }
        return true;
    }

    private function remote(array $params): string
    {
        $noOrganisation = __('The brood has no organisation: choose one, it says who may answer.');
        return strtolower($params['remote_org']['uuid'] ?? throw new SidecarError($noOrganisation));
    }

    /** Call the sidecar and return its JSON; every failure is a SidecarError with a text for people. */
    private function call(Object $connection, string $method, string $path, ?array $body = null, int $timeout = self::TIMEOUT): array
    {
        $settings = $this->settingsOf($connection);
        $options = ['type' => 'json', 'timeout' => $timeout, 'redirect' => false,
            'headers' => ['Authorization' => 'Bearer ' . ($settings['token'] ?? ''), 'Accept' => 'application/json']];
        if (!empty($settings['skip_ssl'])) {
            $options += ['ssl_verify_peer' => false, 'ssl_verify_host' => false, 'ssl_verify_peer_name' => false, 'ssl_allow_self_signed' => true];
        }
        $url = rtrim($settings['url'] ?? '', '/') . '/api/v1' . $path;
        try {
            $answer = (new Client())->{$method}($url, $body === null ? [] : json_encode($body), $options);
        } catch (\Throwable $e) {
            throw new SidecarError(__('The sidecar cannot be reached.'));
        }
        [$status, $found] = [$answer->getStatusCode(), json_decode($answer->getStringBody(), true)];
        if ($status === 401) {
            throw new SidecarError(__('The sidecar does not know this token, or no longer.'), $status);
        }
        if ($status < 200 || $status >= 300) {
            $text = is_array($found) ? implode('. ', array_filter([$found['title'] ?? '', $found['detail'] ?? ''], 'is_string')) : '';
            throw new SidecarError(__('The sidecar refused: {0}', mb_substr(strip_tags($text), 0, 400) ?: 'HTTP ' . $status), $status);
        }
        if (!is_array($found) && $status !== 204) {
            throw new SidecarError(__('This is not a sidecar: its answer is not JSON.'), $status);
        }
        return $found ?? [];
    }

    private function listed(array $params, string $path, string $name): array
    {
        return $this->call($params['connection'], 'get', $path)[$name];
    }

    private function told(\Throwable $e): string
    {
        if ($e instanceof SidecarError) {
            return $e->getMessage();
        }
        $this->logError(get_class($e) . ' at line ' . $e->getLine());
        return __('The answer of the sidecar is not what was expected; see the log of this connector.');
    }

    private function settingsOf(Object $connection): array
    {
        return json_decode((string)$connection->settings, true) ?: [];
    }

    /* What is told of an organisation and of a group: the very members that the sidecar lists. */

    private function organisation(array $row): array
    {
        $found = ['uuid' => strtolower($row['uuid'])];
        foreach (['name', 'nationality', 'sector', 'type', 'url'] as $field) {
            $found[$field] = (string)($row[$field] ?? '');
        }
        return $found;
    }

    private function groups(array $filters = []): array
    {
        return array_map(function ($group) {
            $members = [];
            foreach ($group->sharing_group_orgs as $member) {
                if (empty($member->_joinData->deleted)) {
                    $members[] = ['uuid' => strtolower($member->uuid), 'extend' => (bool)$member->_joinData->extend];
                }
            }
            usort($members, fn($a, $b) => strcmp($a['uuid'], $b['uuid']));
            return ['uuid' => strtolower($group->uuid), 'name' => (string)$group->name, 'description' => (string)$group->description,
                'releasability' => (string)$group->releasability, 'active' => (bool)$group->active,
                'owner' => strtolower($group->organisation->uuid), 'members' => $members];
        }, $this->getFilteredSharingGroups($filters, true));
    }

    /** Compare what is here with what is there: rows with `status` and the names of what differs. */
    private function compared(Object $connection, string $what, array $filters = []): array
    {
        $here = $what === 'organisations' ? array_map([$this, 'organisation'], $this->getOrganisations()) : $this->groups($filters);
        $there = array_column($this->listed(['connection' => $connection], '/' . str_replace('_', '-', $what), $what), null, 'uuid');
        $rows = [];
        foreach ($here as $one) {
            $other = $there[$one['uuid']] ?? null;
            unset($there[$one['uuid']]);
            $isOther = fn($value, $name) => $value !== ($other[$name] ?? null);
            $differs = $other === null ? [] : array_keys(array_filter($one, $isOther, ARRAY_FILTER_USE_BOTH));
            $status = $other === null ? self::HERE : ($differs ? 'differs' : 'same');
            $rows[] = $one + ['status' => $status, 'differs' => implode(', ', $differs), 'source' => $other['source'] ?? ''];
        }
        foreach ($filters ? [] : $there as $other) {
            $rows[] = ['status' => self::THERE, 'differs' => ''] + $other;
        }
        return $rows;
    }

    private function toPush(Object $connection, string $what, array $filters = []): array
    {
        $rows = $this->compared($connection, $what, array_filter($filters));
        $rows = array_filter($rows, fn($row) => in_array($row['status'], ['differs', self::HERE], true));
        return array_values(array_map(fn($row) => array_diff_key($row, array_flip(['status', 'differs', 'source'])), $rows));
    }

    private function pushOrganisations(Object $connection, array $organisations): array
    {
        foreach (array_chunk($organisations, 500) as $some) {
            $this->call($connection, 'patch', '/organisations', ['organisations' => $some], self::LONG_TIMEOUT);
        }
        return [__('Organisations pushed: {0}.', count($organisations)), ['organisations' => count($organisations)]];
    }

    private function pushGroups(Object $connection, array $groups): array
    {
        $needed = [];
        foreach ($groups as $group) {
            $needed += array_flip(array_column($group['members'], 'uuid')) + [$group['owner'] => true];
        }
        $organisations = $groups ? $this->toPush($connection, 'organisations') : [];
        $this->pushOrganisations($connection, array_values(array_filter($organisations, fn($one) => isset($needed[$one['uuid']]))));
        $failed = [];
        foreach ($groups as $group) {
            try {
                $this->call($connection, 'put', '/sharing-groups/' . $group['uuid'], array_diff_key($group, ['uuid' => 0]), self::LONG_TIMEOUT);
            } catch (SidecarError $e) {
                $failed[] = $group['name'] . ': ' . $e->getMessage();
            }
        }
        $data = ['sharing_groups' => count($groups) - count($failed)];
        $text = __('Sharing groups pushed: {0}.', $data['sharing_groups']);
        if ($failed) {
            $error = new SidecarError($text . ' ' . __('Not pushed: {0}; {1}', count($failed), $failed[0]));
            [$error->errors, $error->data] = [$failed, $data];
            throw $error;
        }
        return [$text, $data];
    }

    /** Answer an index action: a table, or the rows alone over REST; a failure is told, not thrown. */
    private function index(array $params, callable $rows, array $fields, array $actions = [], string $push = ''): array
    {
        try {
            [$found, $fault] = [$rows(), ''];
        } catch (\Throwable $e) {
            [$found, $fault] = [[], $this->told($e)];
        }
        if (!empty($params['quickFilter'])) {
            $isMatch = fn($row) => mb_stripos(json_encode($row, self::JSON), $params['quickFilter']) !== false;
            $found = array_values(array_filter($found, $isMatch));
        }
        if (isset($params['connection_ids'])) {
            return $this->inBatch($params, ['success' => (int)!$fault, 'message' => $fault, 'errors' => [], 'data' => $found]);
        }
        if ($params['request']->is('json')) {
            return $this->json($fault ? ['message' => $fault] : $found, $fault ? 502 : 200);
        }
        array_walk_recursive($found, function (&$text) {    // the page puts rows into a script: no comment may begin there
            $text = is_string($text) ? str_replace('<!--', '<! --', $text) : $text;
        });
        $button = ['text' => __('Push all that differ'), 'popover_url' => $this->path($params, $push), 'reload_url' => $this->path($params, $push, true)];
        $search = ['type' => 'search', 'button' => __('Search'), 'placeholder' => __('Enter value to search'), 'data' => '', 'searchKey' => 'value',
            'additionalUrlParams' => implode('/', $params['request']->getParam('pass')),
            'quickFilter' => array_map(fn($name) => [$name => true], array_values(array_diff($fields, ['level'])))];
        return ['type' => 'index', 'data' => [
            'data' => $found, 'fields' => array_map([$this, 'field'], $fields), 'actions' => $actions, 'skip_pagination' => 1,
            'html' => $fault ? '<div class="alert alert-danger">' . h($fault) . '</div>' : '',
            'top_bar' => ['children' => [['type' => 'simple', 'children' => $push ? [$button] : []], $search]],
        ]];
    }

    private function field(string $name): array
    {
        $title = in_array($name, ['id', 'tlp', 'uuid'], true) ? strtoupper($name) : ucfirst(str_replace('_', ' ', $name));
        $icon = ['name' => '', 'data_path' => 'status', 'element' => 'status', 'status_levels' => self::LEVELS];
        return $name === 'level' ? $icon : ['name' => $title, 'data_path' => $name];
    }

    private function rowAction(array $params, string $action, string $icon, string $title, array $when, string $key = 'uuid', string $of = 'status'): array
    {
        return ['open_modal' => $this->path($params, $action) . '?' . $key . '={{0}}', 'modal_params_data_path' => [$key],
            'reload_url' => $this->path($params, $action, true), 'icon' => $icon, 'title' => $title,
            // Cerebrate puts the key into a script: only what cannot end it
            'complex_requirement' => ['function' => fn($row) => in_array($row[$of], $when, true) && preg_match('/^[A-Za-z0-9-]+$/D', $row[$key])]];
    }

    private function path(array $params, string $action, bool $back = false): string
    {
        $name = $back ? $this->exposedFunctions[$action]['redirect'] ?? '' : $action;
        return '/localTools/action/' . $params['connection']['id'] . '/' . $name;
    }

    /** Answer a form: GET shows it, POST does *work*, which returns [text, data] or throws. */
    private function form(array $params, string $title, string $text, callable $work, array $fields = []): array
    {
        $request = $params['request'];
        if (!$request->is(['post', 'put'])) {
            if (isset($params['connection_ids'])) {
                $fields[] = ['field' => 'connection_ids', 'type' => 'hidden', 'value' => implode(',', $params['connection_ids'])];
            }
            $query = array_intersect_key($params, ['uuid' => 0, 'code' => 0]);
            $url = ['controller' => 'localTools', 'action' => $request->getParam('action'), ...$request->getParam('pass')];
            return ['data' => ['title' => $title, 'description' => $text, 'fields' => $fields, 'url' => $url + ($query ? ['?' => $query] : []),
                'submit' => ['action' => $request->getParam('action')]]];
        }
        try {
            [$message, $data] = $work();
            $answer = ['success' => 1, 'message' => $message, 'errors' => [], 'data' => $data, 'url' => ''];
        } catch (\Throwable $e) {
            $answer = ['success' => 0, 'message' => $this->told($e), 'errors' => $e->errors ?? [], 'data' => $e->data ?? [], 'url' => ''];
        }
        if (isset($params['connection_ids'])) {
            return $this->inBatch($params, $answer);
        }
        $status = $answer['success'] || $request->is('ajax') ? 200 : 502;
        return $answer + ($request->is(['ajax', 'json']) ? $this->json($answer, $status) : []);
    }

    /** Cerebrate adds the connection to what a batch returns: without its settings, which hold the token. */
    private function inBatch(array $params, array $answer): array
    {
        $params['connection']->setHidden(['settings'], true);
        return $answer;
    }

    private function json(array $document, int $status = 200): array
    {
        return ['restResponse' => (new Response())->withType('json')->withStatus($status)->withStringBody(json_encode($document, self::JSON))];
    }
}

/** What went wrong with the sidecar, in words for the admin; the code is the HTTP status or 0. */
class SidecarError extends \RuntimeException
{
    public array $errors = [];
    public array $data = [];
}
