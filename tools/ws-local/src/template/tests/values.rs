//! Each intrinsic function, and the errors for incorrect use.

use super::*;

/// A template with one function, `F`, whose variable `X` is `value`.
fn with_variable(value: &str) -> String {
    format!(
        "\
Parameters:
  Text: {{Type: String, Default: text}}
  Empty: {{Type: String, Default: ''}}
  List: {{Type: CommaDelimitedList, Default: 'a, b'}}
  Unset: {{Type: String}}
  Secret: {{Type: 'AWS::SSM::Parameter::Value<String>', Default: /secret}}
Conditions:
  Yes: !Equals [!Ref Text, text]
  No: !Not [!Condition Yes]
  Both: !And [!Condition Yes, {{Condition: No}}]
  Either: !Or [!Condition Both, !Condition Yes]
  Circle: !Not [!Condition Circle]
Resources:
  F:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: rust-cargolambda}}
    Properties:
      CodeUri: .
      Environment:
        Variables:
          X: {value}
  T: {{Type: AWS::Serverless::SimpleTable, Properties: {{TableName: !Sub '${{Text}}s'}}}}
  Loop: {{Type: AWS::Serverless::Function, Properties: {{FunctionName: !Ref Loop}}}}
  Absent: {{Type: AWS::Serverless::SimpleTable, Condition: No}}
  Queue: {{Type: AWS::SQS::Queue}}
  Key: {{Type: AWS::SecretsManager::Secret, Properties: {{Name: app/key, GenerateSecretString: {{PasswordLength: 64}}}}}}
  Api:
    Type: AWS::Serverless::WebSocketApi
    Properties:
      RouteSelectionExpression: $request.body.action
      StageName: prod
      Routes:
        $default: {{FunctionArn: !GetAtt F.Arn}}
"
    )
}

fn variable(value: &str) -> Option<String> {
    let stack = parse(&with_variable(value), Path::new(""), &BTreeMap::new()).unwrap();
    stack.functions["F"].environment.get("X").cloned()
}

fn variable_fault(value: &str) -> String {
    let fault = parse(&with_variable(value), Path::new(""), &BTreeMap::new()).unwrap_err();
    fault.to_string()
}

#[test]
fn every_function_is_evaluated_in_both_forms() {
    let api = scope::api_id("Api");
    for (value, expected) in [
        ("!Ref Text", "text"),
        ("{Ref: Text}", "text"),
        ("!Ref T", "texts"),
        ("!Ref F", "F"),
        ("!Ref Queue", "Queue"),
        ("!Sub '{{resolve:secretsmanager:${Key}}}'", "{{resolve:secretsmanager:app/key}}"),
        ("!Ref Api", api.as_str()),
        ("!Ref Api.Stage", "prod"),
        ("!Ref ApiprodStage", "prod"),
        ("!Ref ApiDefaultRoute", "ApiDefaultRoute"),
        ("!Ref AWS::Region", "us-east-1"),
        ("!Ref AWS::AccountId", "123456789012"),
        ("!Ref AWS::StackName", "local"),
        ("!Ref AWS::Partition", "aws"),
        ("!Ref AWS::URLSuffix", "amazonaws.com"),
        ("!Ref AWS::StackId", "arn:aws:cloudformation:us-east-1:123456789012:stack/local/local"),
        ("!Sub 'a-${Text}-${AWS::Region}'", "a-text-us-east-1"),
        ("!Sub '${T.Arn}'", "arn:aws:dynamodb:us-east-1:123456789012:table/texts"),
        ("!Sub '$5 ${!Text} {Text}'", "$5 ${Text} {Text}"),
        ("!Sub ['${Own}${Text}', {Own: !Ref Empty}]", "text"),
        ("{'Fn::Sub': '${Text}'}", "text"),
        ("!GetAtt F.Arn", "arn:aws:lambda:us-east-1:123456789012:function:F"),
        ("!GetAtt [F, Arn]", "arn:aws:lambda:us-east-1:123456789012:function:F"),
        ("!GetAtt Api.ApiId", api.as_str()),
        ("!Join ['-', [a, !Ref Text, !Ref AWS::NoValue]]", "a-text"),
        ("!Join ['/', !Ref List]", "a/b"),
        ("!If [Yes, a, !Ref Nowhere]", "a"),
        ("!If [No, a, b]", "b"),
        ("{'Fn::If': [Both, a, b]}", "b"),
        ("!If [Either, !If [No, a, b], c]", "b"),
        ("0123", "0123"),
        ("true", "true"),
    ] {
        assert_eq!(variable(value).as_deref(), Some(expected), "{value}");
    }
    assert_eq!(variable("!If [No, a, !Ref AWS::NoValue]"), None);
}

#[test]
fn a_secret_has_a_name_and_a_value_or_a_length() {
    let secret = |properties: &str| {
        let template =
            with_variable("x").replace("Name: app/key, GenerateSecretString: {PasswordLength: 64}", properties);
        parse(&template, Path::new(""), &BTreeMap::new()).map(|stack| stack.secrets[0].clone())
    };
    let [generated, text] = ["Name: app/key", "SecretString: abc"].map(|properties| secret(properties).unwrap());
    let names = [&generated, &text].map(|secret| (secret.id.as_str(), secret.name.as_str()));
    assert_eq!(names, [("Key", "app/key"), ("Key", "Key")]);
    assert_eq!(generated.value, SecretValue::Generated { length: 32 });
    assert_eq!(text.value, SecretValue::Text("abc".to_owned()));
    for (properties, problem) in [
        ("GenerateSecretString: {PasswordLength: 0}", "this must be 1 to 4096 (characters)"),
        ("GenerateSecretString: {SecretStringTemplate: '{}'}", "JSON secrets are not supported here"),
    ] {
        let fault = secret(properties).unwrap_err().to_string();
        assert!(fault.contains(problem), "{fault}");
    }
}

#[test]
fn an_error_names_its_place_and_what_to_change() {
    for (value, problem) in [
        ("!Ref Nowhere", "`Nowhere` is not a parameter, resource or pseudo parameter"),
        ("!Ref Unset", "give it with --parameter Unset=VALUE"),
        ("!Ref Secret", "give its value with --parameter Secret=VALUE"),
        ("!Ref Absent", "refer to it under the same condition"),
        ("!Ref Loop", "this refers to itself"),
        ("!If [Circle, a, b]", "this refers to itself"),
        ("!If [Maybe, a, b]", "there is no condition `Maybe`"),
        ("!If [Yes, a]", "`Fn::If` needs a condition and two values"),
        ("!Sub '${Nowhere}'", "`Nowhere` is not a parameter"),
        ("!Sub '${T.Size}'", "`Size` of `T` has no value on this machine"),
        ("!Sub '${Text'", "`Fn::Sub` needs a } for every ${"),
        ("!Sub [a]", "`Fn::Sub` needs a text, or a list of a text and a map"),
        ("!GetAtt F", "`Fn::GetAtt` needs a resource and an attribute"),
        ("!GetAtt Queue.Arn", "`Arn` of `Queue` has no value on this machine"),
        ("!Join [a]", "`Fn::Join` needs a separator and a list"),
        ("!Select [0, [a]]", "the function `Fn::Select` is not supported here; use Ref, Sub"),
        ("{'Fn::Base64': a}", "the function `Fn::Base64` is not supported here"),
        ("!Equals [a, a]", "declare conditions under Conditions"),
        ("[a]", "this must be text"),
        ("~", "this must be text"),
    ] {
        let fault = variable_fault(value);
        assert!(fault.contains(problem), "{value}: {fault}");
        let places =
            ["21: Resources.F.Properties.Environment.Variables.X", "12: Conditions.Circle", "23: Resources.Loop"];
        assert!(places.iter().any(|place| fault.starts_with(place)), "{value}: {fault}");
    }
}
